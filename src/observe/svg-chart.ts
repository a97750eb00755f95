/** One curve of a chart. */
export interface Series {
  name: string;
  /** x, y pairs in the order of x; a y that is not finite leaves a gap. */
  points: readonly (readonly [number, number])[];
  /** Draws a mark at every point, for few and exact values. */
  marks?: boolean;
}

/** The contents and labels of a chart. */
export interface ChartOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  /** Size in CSS pixels; 720 x 360 when left out. */
  width?: number;
  height?: number;
  /** Range of the y axis; the data's when left out. */
  yRange?: readonly [number, number];
}

/** Colours that keep apart on white and on black, also for the colour blind (Okabe and Ito). */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
const MARGIN = { top: 64, right: 20, bottom: 44, left: 58 };
const MOST_POINTS = 400;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/**
 * Returns round numbers inside a range, about `count` of them: steps of 1, 2 or 5 times a power of
 * ten.
 */
export function niceTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks: number[] = [];
  for (let index = first; index <= last; index++)
    ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

function tickText(value: number): string {
  const size = Math.abs(value);
  if (size >= 10_000 || (size > 0 && size < 1e-3)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(6)));
}

function rangeOf(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  let [low, high] = [Infinity, -Infinity];
  for (const value of finite) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low < high) return [low, high];
  const pad = Math.abs(low) / 10 || 0.5;
  return [low - pad, high + pad];
}

/** Averages neighbours so that a long run stays a small file. */
function thin(points: Series["points"]): Series["points"] {
  if (points.length <= MOST_POINTS) return points;
  const size = Math.ceil(points.length / MOST_POINTS);
  const thinned: [number, number][] = [];
  for (let start = 0; start < points.length; start += size) {
    const bucket = points.slice(start, start + size);
    const sum = bucket.reduce(([x, y], point) => [x + point[0], y + point[1]], [0, 0] as const);
    thinned.push([sum[0] / bucket.length, sum[1] / bucket.length]);
  }
  return thinned;
}

function pathOf(
  points: Series["points"],
  x: (v: number) => number,
  y: (v: number) => number,
): string {
  let path = "";
  let pen = "M";
  for (const [px, py] of points) {
    if (!Number.isFinite(py)) {
      pen = "M";
      continue;
    }
    path += `${pen}${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
    pen = "L";
  }
  return path;
}

const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #333; }
    .title { font-size: 15px; font-weight: 600; }
    .grid { stroke: #8884; } .axis { stroke: #888; }
    .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
    @media (prefers-color-scheme: dark) { text { fill: #ccc; } }`;

/**
 * Draws a line chart as a standalone SVG document: no script, no font, light and dark.
 *
 * Long curves are averaged to at most 400 points.
 */
export function lineChart(options: ChartOptions): string {
  const { title, xLabel, yLabel, width = 720, height = 360 } = options;
  const series = options.series.map((one) => ({ ...one, points: thin(one.points) }));
  const points = series.flatMap((one) => one.points);
  const [xLow, xHigh] = rangeOf(points.map((point) => point[0]));
  const [yLow, yHigh] = options.yRange ?? rangeOf(points.map((point) => point[1]));
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const x = (v: number): number =>
    MARGIN.left + ((v - xLow) / (xHigh - xLow)) * (right - MARGIN.left);
  const y = (v: number): number => bottom - ((v - yLow) / (yHigh - yLow)) * (bottom - MARGIN.top);
  const parts: string[] = [];
  for (const tick of niceTicks(yLow, yHigh, 5)) {
    const at = y(tick).toFixed(1);
    parts.push(`<path class="grid" d="M${MARGIN.left} ${at}H${right}"/>`);
    parts.push(
      `<text x="${MARGIN.left - 8}" y="${at}" dy="4" text-anchor="end">${tickText(tick)}</text>`,
    );
  }
  for (const tick of niceTicks(xLow, xHigh, 8)) {
    const at = x(tick).toFixed(1);
    parts.push(`<path class="axis" d="M${at} ${bottom}v5"/>`);
    parts.push(`<text x="${at}" y="${bottom + 19}" text-anchor="middle">${tickText(tick)}</text>`);
  }
  parts.push(`<path class="axis" d="M${MARGIN.left} ${bottom}H${right}"/>`);
  let legendX = MARGIN.left;
  series.forEach((one, index) => {
    const color = COLORS[index % COLORS.length]!;
    parts.push(`<path class="curve" stroke="${color}" d="${pathOf(one.points, x, y)}"/>`);
    for (const [px, py] of one.marks ? one.points : []) {
      const place = `cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}"`;
      if (Number.isFinite(py)) parts.push(`<circle ${place} r="4" fill="${color}"/>`);
    }
    parts.push(`<path class="curve" stroke="${color}" d="M${legendX} 44h18"/>`);
    parts.push(`<text x="${legendX + 24}" y="48">${escape(one.name)}</text>`);
    legendX += 24 + one.name.length * 7.2 + 18;
  });
  const middle = (MARGIN.left + right) / 2;
  const names = series.map((one) => one.name).join(", ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
  <title>${escape(title)}</title>
  <desc>${escape(`${yLabel} over ${xLabel}: ${names}`)}</desc>
  <style>${STYLE}
  </style>
  <text class="title" x="${MARGIN.left}" y="24">${escape(title)}</text>
  ${parts.join("\n  ")}
  <text x="${middle}" y="${height - 8}" text-anchor="middle">${escape(xLabel)}</text>
  <text x="14" y="${(MARGIN.top + bottom) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(MARGIN.top + bottom) / 2})">${escape(yLabel)}</text>
</svg>
`;
}
