import * as T from "./Targets.ts"
import * as F from "./Fuzzer.ts"
const [n = "2000", only = "", seed="1"] = process.argv.slice(2)
for (const t of T.all) {
  if (only && !t.name.includes(only)) continue
  let failures = 0
  const a = performance.now()
  let index = 0, inputs = 0
  while (inputs < Number(n) && failures < 3) {
    try { inputs += F.playCase(t, Number(seed), index++) } catch (e) { failures++; inputs++; console.log((e as Error).message.slice(0, 900)); if (!(e instanceof F.Found)) console.log(e) ; else if(process.env.V) console.log((e as any).cause?.cause ?? e.cause)}
  }
  const ms = performance.now() - a
  console.log(t.name.padEnd(26), inputs, `${Math.round(inputs / ms * 1000)}/s`)
}
