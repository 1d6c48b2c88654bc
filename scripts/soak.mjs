/**
 * The long runs that no test has time for. Each part is a file in `scripts/soak` that says what it does and takes its own
 * numbers; the last line is a summary, and the status says whether everything held.
 *
 * npm run soak -- --list
 * npm run soak                          all parts, at full length
 * npm run soak -- sim --seeds 100       one part, shorter
 */
import * as audit from "./soak/audit.mjs"
import * as events from "./soak/events.mjs"
import * as exchange from "./soak/exchange.mjs"
import * as fuzz from "./soak/fuzz.mjs"
import * as moving from "./soak/moving.mjs"
import * as mutations from "./soak/mutations.mjs"
import * as nat from "./soak/nat.mjs"
import * as sim from "./soak/sim.mjs"
import * as tables from "./soak/tables.mjs"
import * as tasks from "./soak/tasks.mjs"

/**
 * A part exports `name`, `summary`, `options` (name → default number and what it means), and `run(values, names)`, which
 * prints as it goes and resolves to `{ passed, summary }`. `names` are words after the part that are no options.
 */
const PARTS = [fuzz, sim, nat, moving, tables, events, audit, tasks, exchange, mutations]

const main = async () => {
  const [first, ...rest] = process.argv.slice(2)
  if (first === "--list" || first === "--help") return list()
  const wanted = first === undefined ? PARTS : PARTS.filter(({ name }) => name === first)
  if (wanted.length === 0) fail(`there is no part ${JSON.stringify(first)}; npm run soak -- --list shows them`)
  const results = []
  for (const part of wanted) {
    const { names, values } = parse(part, first === undefined ? [] : rest)
    const startedAtMs = performance.now()
    const { passed, summary } = await part.run(values, names)
    results.push({
      passed,
      text: `${part.name}: ${summary}, ${Math.round((performance.now() - startedAtMs) / 1000)} s`
    })
  }
  console.log(results.map(({ passed, text }) => `${passed ? "passed" : "FAILED"}  ${text}`).join("\n"))
  process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
}

const list = () => {
  for (const { name, options, summary } of PARTS) {
    console.log(`${name.padEnd(12)}${summary}`)
    for (const [option, [value, meaning]] of Object.entries(options)) {
      console.log(`            --${option} N  ${meaning} (${value})`)
    }
  }
}

const parse = ({ name, options }, args) => {
  const values = Object.fromEntries(Object.entries(options).map(([option, [value]]) => [option, value]))
  const names = []
  for (let index = 0; index < args.length; index++) {
    const [, option] = /^--(.*)$/.exec(args[index]) ?? []
    if (option === undefined) {
      names.push(args[index])
      continue
    }
    const value = Number(args[++index])
    if (!(option in options)) fail(`${name} has no --${option}`)
    if (!Number.isSafeInteger(value) || value < 0) fail(`--${option} wants a whole number`)
    values[option] = value
  }
  return { names, values }
}

const fail = (message) => {
  console.error(message)
  process.exit(2)
}

await main()
