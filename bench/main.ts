/**
 * `npm run bench`: how fast it is, each figure next to what the machine allows and what others do, measured in the same
 * run. Nothing here asserts a time.
 *
 * npm run bench -- [GROUP…] [--docs] [--list] [--size MiB] [--tasks N] [--kinds KIND,…]
 *
 * Without a group all of them run. `--docs` also writes the tables of `docs/benchmarks.md`; `--size` is that of the file in
 * `exchange`, `--tasks` how many wait in `tasks`, and `--kinds` are the translators in `nat`, as its table calls them.
 */
import { parseArgs } from "node:util"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, References } from "effect"
import * as NatBox from "../test/netns/NatBox.ts"
import * as Figure from "./Figure.ts"
import * as Cpu from "./groups/Cpu.ts"
import * as Datagrams from "./groups/Datagrams.ts"
import * as Events from "./groups/Events.ts"
import * as Exchange from "./groups/Exchange.ts"
import * as Fairness from "./groups/Fairness.ts"
import * as Federation from "./groups/Federation.ts"
import * as Gateway from "./groups/Gateway.ts"
import type { Group } from "./groups/Group.ts"
import * as Loss from "./groups/Loss.ts"
import * as Mcp from "./groups/Mcp.ts"
import * as McpCost from "./groups/McpCost.ts"
import * as Memory from "./groups/Memory.ts"
import * as Nat from "./groups/Nat.ts"
import * as Ping from "./groups/Ping.ts"
import * as Policy from "./groups/Policy.ts"
import * as Programs from "./groups/Programs.ts"
import * as Registry from "./groups/Registry.ts"
import * as Requests from "./groups/Requests.ts"
import * as RpcCalls from "./groups/Rpc.ts"
import * as Streams from "./groups/Streams.ts"
import * as TaskFlow from "./groups/Tasks.ts"
import * as Report from "./Report.ts"

const GROUPS: ReadonlyArray<Group> = [
  Streams.group,
  Datagrams.group,
  Programs.group,
  Mcp.group,
  McpCost.group,
  Federation.group,
  Loss.group,
  Requests.group,
  RpcCalls.group,
  TaskFlow.group,
  Events.group,
  Ping.group,
  Fairness.group,
  Cpu.group,
  Memory.group,
  Registry.group,
  Exchange.group,
  Gateway.group,
  Policy.group,
  Nat.group
]

const bench = Effect.gen(function* () {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      docs: { type: "boolean" },
      list: { type: "boolean" },
      size: { type: "string" },
      tasks: { type: "string" },
      kinds: { type: "string" }
    }
  })
  if (values.list) return yield* Console.log(GROUPS.map(describe).join("\n"))
  const unknown = positionals.filter((name) => GROUPS.every((group) => group.name !== name))
  if (unknown.length > 0) {
    return yield* Console.error(`no group ${unknown.join(", ")}; there are:\n${GROUPS.map(describe).join("\n")}`)
  }
  const chosen = GROUPS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  yield* Console.log(`some ${Math.ceil(chosen.reduce((sum, { seconds }) => sum + seconds, 0) / 60)} minutes`)
  const loadBefore = Report.load()
  const sizeMiB = Math.max(1, Number(values.size ?? 64) || 64)
  const waiting = Math.max(1, Number(values.tasks ?? 10_000) || 10_000)
  const kinds = (values.kinds ?? "").split(",").filter((kind) => kind !== "")
  const strange = kinds.filter((kind) => !NatBox.KINDS.some((known) => known === kind))
  if (strange.length > 0)
    return yield* Console.error(`no kind ${strange.join(", ")}; there are: ${NatBox.KINDS.join(", ")}`)
  for (const group of chosen)
    yield* run(group, loadBefore).pipe(
      Effect.provideService(Exchange.SizeMiB, sizeMiB),
      Effect.provideService(TaskFlow.Waiting, waiting),
      Effect.provideService(Nat.Kinds, kinds)
    )
  if (values.docs) yield* Report.writePage
})

/** A group that fails does not take the others with it. */
const run = (group: Group, loadBefore: number) =>
  Effect.gen(function* () {
    yield* Console.log(`\n${describe(group)} …\n`)
    const figures = yield* Effect.scoped(group.run)
    yield* Console.log(Figure.table(figures))
    yield* Report.keep(group.name, loadBefore, figures)
  }).pipe(Effect.catchCause((cause) => Console.error(`${group.name} was not measured: ${Cause.pretty(cause)}`)))

const describe = ({ about, name, seconds }: Group): string => `${name}: ${about} (${seconds} s)`

NodeRuntime.runMain(
  bench.pipe(Effect.provide(NodeServices.layer), Effect.provideService(References.MinimumLogLevel, "Warn"))
)
