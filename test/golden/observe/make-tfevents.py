"""Bytes of an event file as TensorBoard's own record writer and messages give them.

Written with tensorboard 2.21.0; run: python make-tfevents.py > tfevents.json
"""

import io
import json

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

SCALARS = [
    (1700000000.25, 0, {"eval/overall": 0.5}),
    (1700000001.5, 1, {"reward": 0.75, "rewards/format/mean": 1.0, "num_tokens": 123456.0}),
    (1700000002.0, 300, {"reward": -2.5e-7, "kl": 0.0}),
    (1700000003.0, 2**40, {"reward": 1e30}),
]

buffer = io.BytesIO()
writer = RecordWriter(buffer)
writer.write(Event(wall_time=1700000000.0, file_version="brain.Event:2").SerializeToString())
for time, step, values in SCALARS:
    summary = Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])
    writer.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())
print(json.dumps({"scalars": SCALARS, "hex": buffer.getvalue().hex()}))
