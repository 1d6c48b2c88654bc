/**
 * What a change saves, on a machine on which other work runs: processor time of small things, of this checkout and of another
 * one in turns, and the ratio of each turn to its neighbour. Both must be built (`npm run build`); "both ends" is the sum of the
 * two processes.
 *
 * node bench/paired/main.ts OTHER-CHECKOUT [TURNS]
 */
import type { ChildProcess } from "node:child_process"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, References, Schema } from "effect"
import * as Children from "../Children.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import * as End from "./End.ts"

const compare = Effect.fnUntraced(function* (before: string, turns: number) {
  const sides = [yield* side(before), yield* side(OWN)] as const
  yield* Console.log(`processor of both ends, µs each: ${before} → ${OWN}`)
  for (const kind of End.KINDS) {
    const task = { kind, times: TIMES[kind] }
    const rows: Array<readonly [number, number]> = []
    for (let turn = -WARM_UP; turn < turns; turn++) {
      // Whoever goes first finds other caches.
      const order = turn % 2 === 0 ? [0, 1] : [1, 0]
      const spent: [number, number] = [0, 0]
      for (const which of order) spent[which as 0 | 1] = yield* spend(sides[which as 0 | 1], task)
      if (turn >= 0) rows.push(spent)
    }
    const ratios = rows.map(([old, own]) => own / old)
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => Statistics.percentile(ratios, share).toFixed(2))
    const [old, own] = [0, 1].map((which) => Statistics.median(rows.map((row) => row[which as 0 | 1])).toFixed(0))
    yield* Console.log(`${kind}: ${old} → ${own}, ratio ${middle} (quartiles ${low} to ${high}, ${turns} turns)`)
  }
})

interface Side {
  readonly server: ChildProcess
  readonly client: ChildProcess
}

const side = Effect.fnUntraced(function* (checkout: string) {
  const network = yield* Network.make(End.SERVER)
  const end = Effect.fnUntraced(function* (role: string, { options }: Network.Home) {
    const child = yield* Children.start([process.execPath, End.PROGRAM, checkout, role, JSON.stringify(options)])
    yield* Children.message(child)
    return child
  })
  return { server: yield* end("serve", network.server), client: yield* end("ask", network.client) } satisfies Side
})

/** Microseconds of both ends for each. */
const spend = Effect.fnUntraced(function* ({ client, server }: Side, task: End.Task) {
  const ask = (child: ChildProcess) =>
    Effect.andThen(
      Effect.sync(() => child.send(task)),
      Effect.flatMap(Children.message(child), decode)
    )
  yield* ask(server)
  const asked = yield* ask(client)
  return asked + (yield* ask(server))
})

const decode = Schema.decodeUnknownEffect(Schema.Finite)
const OWN = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "")
const TIMES: Readonly<Record<End.Task["kind"], number>> = { "round trip": 800, dial: 100, "one of 50 at once": 1000 }
const WARM_UP = 3

const [other, turns = "20"] = process.argv.slice(2)
if (other === undefined || !(Number(turns) > 0)) {
  console.error("which checkout is this one compared with? node bench/paired/main.ts OTHER-CHECKOUT [TURNS]")
  process.exitCode = 2
} else
  NodeRuntime.runMain(
    Effect.scoped(compare(resolve(other), Number(turns))).pipe(
      Effect.provide(NodeServices.layer),
      Effect.provideService(References.MinimumLogLevel, "Warn")
    )
  )
