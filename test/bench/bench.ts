/**
 * Runs one of the benches beside this file: `npm run bench -- matmul|attention|rollout|step [arguments]`.
 */
const [name, ...rest] = process.argv.slice(2);
const names = ["matmul", "attention", "rollout", "step"];
if (name === undefined || !names.includes(name)) {
  process.stderr.write(`npm run bench -- ${names.join("|")} [arguments of that bench]\n`);
  process.exit(2);
}
process.argv.splice(2, process.argv.length, ...rest);
await import(`./${name}.ts`);
