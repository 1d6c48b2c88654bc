/**
 * A minute in the life of seven nodes behind all kinds of translators: they come to trust each other, exchange bytes in
 * pairs, call an MCP server, lose cables, addresses, power and their rendezvous, and go on. The seed decides links, sizes,
 * times and victims.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import type { SimLink } from "../../src/testing/SimLink.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { answer, ask, initialize, type Outcome, server } from "./McpPrograms.ts"
import * as MixedProofs from "./MixedProofs.ts"
import { echo, payload, push, serveEcho, serveSink } from "./Programs.ts"

/** What one pair has done. */
export interface Tally {
  readonly pair: string
  readonly exchanged: number
  readonly failed: number
  readonly path: Pilot.Ping["path"]
}

/** What one MCP client has seen: the outcome of each call, by its number; and what the host of the server went through. */
export interface Calls {
  readonly end: "crash" | "kill"
  readonly outcomes: ReadonlyMap<number, Outcome>
}

/** Plays the minute from a seed, in a world of its own, and looks at what came of it; a defect if it is not as it must be. */
export const minute = (seed: number) =>
  SimNet.run({ seed }, (net) =>
    Effect.map(play(net), (played) => {
      const minute = { ...played, hash: net.hash(), checkedBytes: net.checkedBytes() }
      check(minute)
      return minute
    })
  )

const check = ({
  calls,
  checkedBytes,
  tallies
}: Effect.Success<ReturnType<typeof play>> & { readonly checkedBytes: number }) => {
  for (const { exchanged, pair } of tallies) assert.ok(exchanged > 3, `${pair} exchanged ${exchanged} times`)
  assert.equal(tallies.find(({ pair }) => pair === "carol > dave")?.path, "relay")
  assert.ok(checkedBytes > 1_000_000, `${checkedBytes} bytes arrived`)
  checkCalls(calls)
}

/** Each call has a result, or a reason that says whether it may be repeated; a power cut takes its call along. */
const checkCalls = ({ end, outcomes }: Calls) => {
  const failed = [...outcomes.values()].filter((outcome) => outcome._tag === "Failed")
  for (const { code, delivered, retryable } of failed) {
    const isTyped = code === OUTCOME_UNKNOWN ? delivered === true && retryable === false : delivered === false
    assert.ok(isTyped && CODES.has(code), `a call ended with ${code}, delivered ${delivered}, retryable ${retryable}`)
  }
  for (const [id, outcome] of outcomes) if (outcome._tag === "Result") assert.equal(outcome.text, `call ${id}`)
  if (end === "crash") assert.ok(failed.length > 0, "a power cut took no call along")
  assert.ok(outcomes.size > 2 * failed.length, `${failed.length} of ${outcomes.size} calls failed`)
}

/** Plays the minute; afterwards every pair must be able to talk, or this fails. */
const play = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const random = SeededRandom.make(SeededRandom.derive(net.seed, "scenario"))
  const nodes = yield* startAll(net, random)
  const pairs = PAIRS.map(([asking, asked]) => ({ asking: nodes[asking], asked: nodes[asked] }))
  yield* Effect.forEach(pairs, ({ asked, asking }) => net.trust(asking, asked), {
    concurrency: "unbounded",
    discard: true
  })
  const { caller, end, victim } = yield* disturb(net, random, nodes)
  // Trusted, and never named.
  yield* net.trust(nodes.hub, victim)
  yield* net.expose(victim, { name: SERVICE, command: "say", allow: [caller] })
  const conversations = Effect.forEach(
    pairs,
    (pair, index) => converse(net, pair, SeededRandom.derive(net.seed, `pair ${index}`)),
    {
      concurrency: "unbounded"
    }
  )
  const [tallies, outcomes] = yield* Effect.all([conversations, callServer(net, caller, victim)], {
    concurrency: "unbounded"
  })
  const calls: Calls = { end, outcomes }
  const { alice, bob, frank, hub } = nodes
  yield* MixedProofs.strangerIsRefused(frank, hub, ECHO)
  yield* MixedProofs.unnamedIsRefused(net, hub, victim, SERVICE)
  yield* MixedProofs.pathIsDirect(alice, hub)
  yield* MixedProofs.pathIsDirect(bob, hub)
  yield* MixedProofs.nothingComesTwice(frank, alice)
  return { tallies, calls }
})

type Name = "hub" | "alice" | "bob" | "carol" | "dave" | "erin" | "frank"

interface Pair {
  readonly asking: SimNode
  readonly asked: SimNode
}

const startAll = Effect.fnUntraced(function* (net: SimNet.SimNet, random: SeededRandom.SeededRandom) {
  const link = (): SimLink => ({
    rttMs: 5 + SeededRandom.below(random, 80),
    jitterMs: SeededRandom.below(random, 10),
    loss: SeededRandom.below(random, 0.02),
    duplication: SeededRandom.below(random, 0.01),
    reordering: SeededRandom.below(random, 0.02)
  })
  const main = Effect.all([serveEcho(ECHO), serveSink(SINK)], { concurrency: 2 })
  const bursts = { beginRate: 0.002, endRate: 0.2, lossRate: 0.8 }
  const placements = {
    hub: { config: { public: true } },
    alice: { nat: "fullCone" },
    bob: { nat: "portRestrictedCone", link: { ...link(), bitsPerSecond: 20_000_000, queueBytes: 64_000 } },
    carol: { nat: "symmetric", drift: -200 },
    dave: { nat: "symmetric", link: { ...link(), bursts }, programs: { say: server } },
    erin: { nat: ["restrictedCone", "portRestrictedCone"], skew: "20 seconds", drift: 200, programs: { say: server } },
    frank: { link: { ...link(), bursts } }
  } as const
  const start = <N extends Name>(name: N) => net.node(name, { link: link(), main, ...placements[name] })
  return yield* Effect.all(
    {
      hub: start("hub"),
      alice: start("alice"),
      bob: start("bob"),
      carol: start("carol"),
      dave: start("dave"),
      erin: start("erin"),
      frank: start("frank")
    },
    { concurrency: "unbounded" }
  )
})

/** One of everything that goes wrong, each for a few seconds and over before the minute ends. */
const disturb = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  random: SeededRandom.SeededRandom,
  nodes: Readonly<Record<Name, SimNode>>
) {
  const { alice, bob, carol, dave, erin, frank, hub } = nodes
  const seconds = (from: number) =>
    `${(from + SeededRandom.below(random, 3)).toFixed(3)} seconds` as `${number} seconds`
  const [victim, caller] = SeededRandom.chance(random, 0.5) ? [dave, bob] : [erin, frank]
  const end = SeededRandom.chance(random, 0.5) ? "crash" : "kill"
  yield* net.at(seconds(8), net.cut(frank))
  yield* net.at(seconds(12), net.heal(frank))
  yield* net.at(seconds(16), net[end](victim))
  yield* net.at(seconds(20), Effect.orDie(net.restart(victim)))
  yield* net.at(seconds(25), net.crashRendezvous)
  yield* net.at(seconds(29), net.restartRendezvous)
  yield* net.at(seconds(32), net.move(alice))
  yield* net.at(seconds(36), net.partition([hub, carol], [alice, bob, dave]))
  yield* net.at(seconds(42), net.heal())
  yield* net.at(seconds(45), net.skew(bob, "-1 minute"))
  return { caller, end, victim } as const
})

/**
 * Calls the server of the victim until the minute is over, so that a call is always under way, and once more after that,
 * which must work. No call may stay without an answer or get two.
 */
const callServer = Effect.fnUntraced(function* (net: SimNet.SimNet, caller: SimNode, host: SimNode) {
  const random = SeededRandom.make(SeededRandom.derive(net.seed, "calls"))
  const client = yield* net.connect(caller, host.name, SERVICE)
  const outcomes = new Map<number, Outcome>()
  yield* initialize(client)
  const call = Effect.fnUntraced(function* (id: number, ms: number) {
    yield* ask(client, id, `call ${id}`, ms)
    const [answered, outcome] = yield* answer(client)
    if (answered !== id) return yield* Effect.die(new Error(`call ${answered} is answered while ${id} waits`))
    outcomes.set(id, outcome)
    return outcome
  })
  let id = 1
  while (net.nowMs() < MINUTE_MS) yield* call(id++, SeededRandom.below(random, 5000))
  for (let tries = 0; tries < RETRIES; tries++) {
    if ((yield* call(id++, 0))._tag === "Result") return outcomes
    yield* Effect.sleep("1 second")
  }
  return yield* Effect.die(new Error("the MCP server is not reached again"))
}, Effect.scoped)

/** Exchanges bytes until the minute is over, and once more after that, which must work. */
const converse = Effect.fnUntraced(function* (net: SimNet.SimNet, pair: Pair, seed: number) {
  const random = SeededRandom.make(seed)
  let exchanged = 0
  let failed = 0
  while (net.nowMs() < MINUTE_MS) {
    const isGood = yield* exchange(pair, random)
    if (isGood) exchanged++
    else failed++
    yield* Effect.sleep(500 + SeededRandom.below(random, 2000))
  }
  yield* Effect.retry(
    Effect.flatMap(exchange(pair, random), (isGood) => (isGood ? Effect.void : Effect.fail("no exchange"))),
    { times: RETRIES }
  ).pipe(Effect.orDie)
  // A ping is one datagram each way, and may be lost.
  const ping = Effect.retry(pair.asking.run(Pilot.ping(pair.asked.name)), { times: RETRIES })
  const { path } = yield* Effect.orDie(ping)
  return { pair: `${pair.asking.name} > ${pair.asked.name}`, exchanged, failed, path }
})

/** False when the stream could not be opened, or broke; other bytes than those sent never come back. */
const exchange = ({ asked, asking }: Pair, random: SeededRandom.SeededRandom) => {
  const bytes = payload(100 + SeededRandom.index(random, 60_000), SeededRandom.index(random, 1 << 30))
  const program = Effect.gen(function* () {
    yield* push(asked.name, SINK, bytes)
    return yield* echo(asked.name, ECHO, bytes)
  })
  return asking.run(program).pipe(
    Effect.timeout("20 seconds"),
    Effect.map((echoed) => Buffer.compare(echoed, bytes) === 0),
    // The stream broke, or the asking node is the one that is off.
    Effect.catchCause(() => Effect.succeed(false))
  )
}

const PAIRS: ReadonlyArray<readonly [Name, Name]> = [
  ["alice", "hub"],
  ["bob", "hub"],
  ["carol", "dave"],
  ["erin", "frank"],
  ["bob", "carol"],
  ["alice", "frank"],
  ["dave", "bob"]
]
const UNREACHABLE = -31001
const OUTCOME_UNKNOWN = -31002
const CODES: ReadonlySet<number> = new Set([UNREACHABLE, OUTCOME_UNKNOWN])
const SERVICE = "say"
const ECHO = 4000
const SINK = 4001
const MINUTE_MS = 60_000
const RETRIES = 5
