import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, Ref, Stream } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(20_000, 9)

const addressOf = (node: SimNode) => node.run(Effect.flatMap(Node, ({ address }) => address))

/** Sends one user datagram. */
const sendDatagram = (from: SimNode, to: Address.Address, text: string) =>
  from.run(Effect.flatMap(Node, (node) => node.sendDatagram(to, Address.Port(9), new TextEncoder().encode(text))))

/** The user datagrams that have come to a node since this was called. */
const collectDatagrams = (node: SimNode) =>
  Effect.gen(function* () {
    const texts = yield* Ref.make<ReadonlyArray<string>>([])
    const collect = Effect.gen(function* () {
      const datagrams = yield* Effect.flatMap(Node, ({ datagrams }) => datagrams(64))
      while (true) {
        const { payload } = yield* Queue.take(datagrams)
        yield* Ref.update(texts, (all) => [...all, new TextDecoder().decode(payload)])
      }
    })
    yield* Effect.forkScoped(node.run(Effect.scoped(collect)), { startImmediately: true })
    return Ref.get(texts)
  })

/** Two trusting nodes in the open, with a direct path. */
const pair = Effect.fnUntraced(function* (net: SimNet.SimNet, link?: SimNet.Placement["link"]) {
  const placement = link === undefined ? {} : { link }
  const a = yield* net.node("a", placement)
  const b = yield* net.node("b", { ...placement, main: serveEcho(PORT) })
  yield* net.trust(a, b)
  assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
  return { a, b, there: yield* addressOf(b) }
})

describe("an attacker on the simulated network", { timeout: PATIENCE_MS }, () => {
  it.effect("a datagram that the network doubles reaches the user once (wire §6.3)", () =>
    SimNet.run({ seed: 31 }, (net) =>
      Effect.gen(function* () {
        const { a, b, there } = yield* pair(net, { rttMs: 20, duplication: 1 })
        const texts = yield* collectDatagrams(b)
        for (const text of ["one", "two", "three"]) yield* sendDatagram(a, there, text)
        yield* net.sleep("1 second")

        assert.deepStrictEqual([...(yield* texts)].toSorted(), ["one", "three", "two"])
      })
    )
  )

  it.effect("replaying everything that was ever sent to a node changes nothing (security rule 5)", () =>
    SimNet.run({ seed: 32 }, (net) =>
      Effect.gen(function* () {
        const recorded: Array<Parameters<SimNet.SimNet["inject"]>> = []
        yield* net.tap(({ bytes, port, sender, to }) => {
          recorded.push([{ host: sender.address, port }, to, bytes])
        })
        const { a, b, there } = yield* pair(net)
        const texts = yield* collectDatagrams(b)
        yield* sendDatagram(a, there, "once")
        yield* net.sleep("1 second")
        for (let round = 0; round < 3; round++) {
          for (const [from, to, bytes] of [...recorded]) yield* net.inject(from, to, bytes)
          yield* net.sleep("2 seconds")
          assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
        }

        assert.deepStrictEqual(yield* texts, ["once"])
        assert.strictEqual((yield* a.run(Pilot.ping("b"))).path, "direct")
      })
    )
  )

  it.effect("frames with one bit changed are dropped, and the stream goes on", () =>
    SimNet.run({ seed: 33 }, (net) =>
      Effect.gen(function* () {
        const { a } = yield* pair(net)
        let count = 0
        yield* net.tap(({ bytes, port, sender, to }) => {
          const forged = bytes.slice()
          forged[count++ % forged.length]! ^= 1
          Effect.runSync(net.inject({ host: sender.address, port }, to, forged))
        })
        for (let rounds = 0; rounds < 5; rounds++) {
          assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
        }
        assert.isAbove(count, 100)
      })
    )
  )

  it.effect("a stranger reaches no port of a node, although the registry shows it (security rule 3)", () =>
    SimNet.run({ seed: 34 }, (net) =>
      Effect.gen(function* () {
        const reached = yield* Ref.make(0)
        const listen = Stream.runForEach(Pilot.listen(PORT), () => Ref.update(reached, (count) => count + 1))
        const host = yield* net.node("host", { main: listen, config: { public: true } })
        const friend = yield* net.node("friend")
        const stranger = yield* net.node("stranger")
        yield* net.trust(friend, host)
        yield* friend.run(Effect.scoped(Pilot.dial("host", PORT)))
        const refused = yield* stranger.run(Effect.flip(Effect.scoped(Pilot.dial("host", PORT))))

        assert.strictEqual(refused._tag === "DialError" ? refused.reason : refused._tag, "Untrusted")
        assert.strictEqual(yield* Ref.get(reached), 1)
      })
    )
  )
})
