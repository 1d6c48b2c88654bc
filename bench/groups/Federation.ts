/**
 * All services of a peer through one front: how long it takes to list 1,000 tools of 50 services, to find one by words and to
 * call it. Next to each, one of those servers asked by the same client with nothing between.
 */
import { Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type { Figure } from "../Figure.ts"
import * as Bridges from "../mcp/Bridges.ts"
import { type Command, LineClient } from "../mcp/LineClient.ts"
import * as ToolsServer from "../mcp/ToolsServer.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(HOST)
  yield* Effect.all([network.server.daemon, network.client.daemon])
  yield* Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(network.server.path, "mcp", "stop")))
  yield* Effect.forEach(WORDS, (word) => expose(network, word), { discard: true })
  const direct = Bridges.direct(ToolsServer.PROGRAM, network.client.path)
  const own = { ...direct, args: [...direct.args, WORDS[0] ?? "", String(TOOLS)] }
  return yield* compared(front(network, "all"), front(network, "reveal"), own)
})

const compared = Effect.fnUntraced(function* (all: Command, reveal: Command, own: Command) {
  const [tool = ""] = ToolsServer.names(WORDS[0] ?? "", TOOLS)
  const plain = yield* opened(own)
  const first = { front: yield* timed(() => firstList(all)), direct: yield* timed(() => firstList(own)) }
  const remembered = yield* timed(() => firstList(all))
  const listing = yield* opened(all)
  const finding = yield* opened(reveal)
  const listed = yield* promise(() => listAll(listing))
  if (listed !== WORDS.length * TOOLS) {
    return yield* new FederationFailed({ detail: `${listed} tools were listed, not ${WORDS.length * TOOLS}` })
  }
  const query = { name: "search_tools", arguments: { query: tool.replaceAll("_", " "), limit: 5 } }
  const call = (name: string) => ({ name, arguments: { path: "/srv" } })
  // In turns, so that all see the same machine.
  const times = { list: [] as number[], search: [] as number[], call: [] as number[] }
  const plainTimes = { list: [] as number[], call: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    times.list.push(yield* timed(() => listAll(listing)))
    plainTimes.list.push(yield* timed(() => listAll(plain)))
    times.search.push(yield* timed(() => finding.result("tools/call", query)))
    times.call.push(yield* timed(() => listing.result("tools/call", call(`${HOST}_${WORDS[0]}__${tool}`))))
    plainTimes.call.push(yield* timed(() => plain.result("tools/call", call(tool))))
  }
  const median = Statistics.median
  const asked = { value: median(plainTimes.call), of: "a call of one of the servers, nothing between" }
  const list = { value: median(plainTimes.list), of: "the list of one of the servers, nothing between" }
  const start = { value: first.direct, of: "one of the servers started and listed" }
  return [
    {
      name: `first list of ${listed} tools of ${WORDS.length} services, from the start`,
      ...MS,
      ours: first.front,
      ceiling: start
    },
    { name: `the same at the next start, from memory`, ...MS, ours: remembered, ceiling: start },
    { name: `the same list again, all pages, p50`, ...MS, ours: median(times.list), ceiling: list },
    { name: `search_tools over ${listed} tools, p50`, ...MS, ours: median(times.search), ceiling: asked },
    { name: `tools/call by its federated name, p50`, ...MS, ours: median(times.call), ceiling: asked }
  ] satisfies ReadonlyArray<Figure>
}, Effect.scoped)

const expose = (network: Network.Network, word: string) =>
  Pilotctl.run(
    network.server.path,
    ...["mcp", "expose", word, "--allow", "bench-client", "--"],
    ...[process.execPath, ToolsServer.PROGRAM, word, String(TOOLS)]
  )

const front = (network: Network.Network, mode: string): Command => ({
  command: process.execPath,
  args: [Pilotctl.PROGRAM, "mcp", "front", "--mode", mode],
  env: Pilotctl.environment(network.client.path)
})

const firstList = async (command: Command): Promise<void> => {
  const client = new LineClient(command)
  await client.open()
  let count = await listAll(client)
  // A front answers with what it knows after five seconds; the rest is in a later list.
  while (command.args.includes("front") && count < WORDS.length * TOOLS) count = await listAll(client)
  await client.close()
}

/** How many tools all pages have. */
const listAll = async (client: LineClient): Promise<number> => {
  let count = 0
  let cursor: unknown
  do {
    const page = await client.result("tools/list", cursor === undefined ? {} : { cursor })
    count += Array.isArray(page["tools"]) ? page["tools"].length : 0
    cursor = page["nextCursor"]
  } while (cursor !== undefined)
  return count
}

const opened = (command: Command) =>
  Effect.acquireRelease(
    promise(async () => {
      const client = new LineClient(command)
      await client.open()
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

const timed = (run: () => Promise<unknown>) =>
  promise(async () => {
    const startMs = performance.now()
    await run()
    return performance.now() - startMs
  })

/** What a session or a process said instead. */
class FederationFailed extends Schema.TaggedError<FederationFailed>()("FederationFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const promise = <A>(run: () => Promise<A>): Effect.Effect<A, FederationFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => new FederationFailed({ detail: String(cause) }) })

/** Fifty services of one peer through one front. */
export const group: Group = {
  name: "federation",
  about: "1,000 tools of 50 services through one front: list, search and call, next to one of the servers alone",
  seconds: 180,
  run: measure
}

const HOST = "bench-server"
const MS = { unit: "ms" }
/** Fewer of them show that it works, where the machine has no memory for so many servers. */
const SERVICES = Number(process.env["BENCH_FEDERATION_SERVICES"] ?? 50)
const WORDS = Array.from({ length: SERVICES }, (_, index) => `thing${index}`)
const TOOLS = 20
const ROUNDS = 50
