/** Two nodes that only guessed ports can bring together, and a stream between them that never rests. */
import { assert } from "@effect/vitest"
import { type Duration, Effect, Stream } from "effect"
import { Node, type PeerStatus } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import type { Endpoint } from "../../src/core/data/Endpoint.ts"
import type * as SimNat from "../../src/testing/SimNat.ts"
import type * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { readBytes } from "./Programs.ts"

/** What was seen by the end that dialled. */
export interface Course {
  /** Milliseconds from the dial until the way was direct; `undefined` if it was not. */
  readonly directMs: number | undefined
  /** The longest time between two answers. */
  readonly silentMs: number
  readonly here: PeerStatus | undefined
  readonly there: PeerStatus | undefined
}

/** `here` dials `there`, which is the end that answers. */
export interface Pair {
  readonly net: SimNet.SimNet
  readonly here: SimNode.SimNode
  readonly there: SimNode.SimNode
  readonly hosts: readonly [here: string, there: string]
}

/** Both trust each other and have forgotten how they met. */
export const make = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  kinds: readonly [SimNat.NatKind, SimNat.NatKind],
  config: Pilot.NodeOptions = {}
) {
  const [near, far] = [net.nat(kinds[0]), net.nat(kinds[1])]
  const here = yield* net.node("here", { config, nat: near, link: { rttMs: 40, jitterMs: 1 } })
  const there = yield* net.node("there", { nat: far, link: { rttMs: 30, jitterMs: 1 }, main: echo })
  yield* net.trust(here, there)
  yield* net.sleep("12 minutes")
  const hosts = [near.inside.gateway?.address ?? "", far.inside.gateway?.address ?? ""] as const
  return { net, here, there, hosts } satisfies Pair
})

/** A byte there and back ten times a second, for so long or until the way is direct and a moment more. */
export const talk = (
  { net, here, there }: Pair,
  lasts: Duration.Input,
  isDone: (directMs: number) => boolean = () => false
) =>
  Effect.gen(function* () {
    const startedAtMs = net.nowMs()
    const sinceMs = () => net.nowMs() - startedAtMs
    let silentMs = 0
    let directMs: number | undefined
    const beat = Effect.gen(function* () {
      const connection = yield* Pilot.dial("there", PORT)
      const node = yield* Node
      let heardAtMs: number | undefined
      while (directMs === undefined || !isDone(sinceMs() - directMs)) {
        yield* connection.write(BYTE)
        assert.deepStrictEqual(yield* readBytes(connection, 1), BYTE)
        if (heardAtMs !== undefined) silentMs = Math.max(silentMs, net.nowMs() - heardAtMs)
        heardAtMs = net.nowMs()
        const { peers } = yield* node.status
        if (peers[0]?.path === "direct") directMs ??= sinceMs()
        yield* Effect.sleep("100 millis")
      }
    })
    yield* here.run(Effect.timeoutOption(Effect.scoped(beat), lasts))
    return { directMs, silentMs, here: yield* peerOf(here), there: yield* peerOf(there) } satisfies Course
  })

/** What a node says of the other one. */
export const peerOf = (node: SimNode.SimNode) =>
  node.run(
    Effect.map(
      Effect.flatMap(Node, (running) => running.status),
      ({ peers }) => peers[0]
    )
  )

/** UDP sockets of a node's machine that stay open: now and then one is opened for a few seconds, to ask a router or a beacon. */
export const sockets = ({ net }: Pair, node: SimNode.SimNode) =>
  Effect.map(
    Effect.forEach([0, 1], () => Effect.as(net.sleep("5 seconds"), node.machine.host.sockets.size)),
    (counts) => Math.min(...counts)
  )

/** Datagrams that its sockets have heard so far. */
export const heard = (node: SimNode.SimNode): number =>
  [...node.machine.host.sockets.values()].reduce((sum, { counters }) => sum + counters.receivedDatagrams, 0)

/** Everything that a node sends from now on. */
export const watch = Effect.fnUntraced(function* (net: SimNet.SimNet, node: SimNode.SimNode) {
  const sent: Array<{ readonly to: Endpoint; readonly bytes: Uint8Array }> = []
  yield* net.tap(({ bytes, sender, to }) => {
    if (sender === node.machine.host) sent.push({ to, bytes })
  })
  return sent
})

const echo = Pilot.listen(4000).pipe(
  Stream.mapEffect((connection) => Effect.ignore(Stream.runForEach(connection.readable, connection.write)), {
    concurrency: "unbounded"
  }),
  Stream.runDrain
)
const PORT = 4000
const BYTE = Uint8Array.of(7)
