import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { type Connection, ConnectionReset, DialError } from "../../../src/actors/node/Node.ts"
import { defaultLimits, PortTable } from "../../../src/protocol/stream/PortTable.ts"
import * as TunnelConfig from "../../../src/protocol/tunnel/TunnelConfig.ts"
import { Port } from "../../../src/protocol/wire/Address.ts"
import * as NodeNet from "../../support/NodeNet.ts"

const PORT = Port(1000)
const [HERE, THERE] = ["192.0.2.1", "192.0.2.2"]
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

/** A node that announces nothing, as the reference. */
const plain = { tunnel: { ...TunnelConfig.defaultConfig, capabilities: 0 } }

const pair = Effect.fnUntraced(function* (there: Parameters<NodeNet.NodeNet["node"]>[1] = {}) {
  const net = yield* NodeNet.make({ link: { delayMs: 10 } })
  const a = yield* net.node(HERE)
  const life = yield* Scope.make()
  const b = yield* Scope.provide(net.node(THERE, there), life)
  yield* NodeNet.pinEachOther(a, b)
  /** As by `kill -9`: nothing of its end is heard, and the next life has the same key and place. */
  const restart = Effect.gen(function* () {
    net.network.partition([HERE], [THERE])
    yield* Scope.close(life, Exit.void)
    net.network.heal()
    const next = yield* net.node(THERE, { ...there, identity: b.identity })
    yield* NodeNet.pinEachOther(a, next)
    return next
  })
  return { net, a, b, life, restart }
})

const connected = Effect.fnUntraced(function* (from: NodeNet.Running, to: NodeNet.Running, life: Scope.Scope) {
  const listener = yield* Scope.provide(to.node.listen(PORT), life)
  const dialled = yield* from.node.dial(to.address, PORT)
  return { dialled, accepted: yield* listener.accept, listener }
})

/** Everything until the end, and how that was. */
const collect = Effect.fnUntraced(function* (connection: Connection) {
  let text = ""
  while (true) {
    const chunk = yield* Effect.result(connection.read)
    if (chunk._tag === "Failure") return [text, Cause.isDone(chunk.failure) ? "end" : chunk.failure.reason] as const
    text += new TextDecoder().decode(chunk.success)
  }
})

describe("ends of streams between nodes", () => {
  it.effect("a server that answers after the client's end delivers everything (wire §17 bit 0)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life } = yield* pair()
        const { accepted, dialled } = yield* connected(a, b, life)
        yield* dialled.write(bytes("request"))
        yield* dialled.end
        assert.deepStrictEqual(yield* collect(accepted), ["request", "end"])
        const late = yield* Effect.flip(dialled.write(bytes("late")))

        yield* Effect.sleep(5_000)
        for (let count = 0; count < 100; count++) yield* accepted.write(bytes("answer "))
        yield* accepted.end

        assert.deepStrictEqual(yield* collect(dialled), ["answer ".repeat(100), "end"])
        assert.strictEqual(late.reason, "Closed")
        assert.strictEqual(late.message, "the stream takes no more data: it was ended or closed")
      })
    )
  )

  it.effect("an end is the end of both directions where the peer announced nothing (wire §9.4)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life } = yield* pair(plain)
        const { accepted, dialled } = yield* connected(a, b, life)
        yield* dialled.write(bytes("request"))
        yield* dialled.end

        assert.deepStrictEqual(yield* collect(accepted), ["request", "end"])
        assert.strictEqual((yield* Effect.flip(accepted.write(bytes("x")))).reason, "Closed")
        assert.deepStrictEqual(yield* collect(dialled), ["", "end"])
      })
    )
  )

  it.effect("streams to the node itself half-close, too", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a } = yield* pair()
        const { accepted, dialled } = yield* connected(a, a, yield* Effect.scope)
        yield* dialled.end
        assert.deepStrictEqual(yield* collect(accepted), ["", "end"])
        yield* accepted.write(bytes("answer"))
        yield* accepted.end
        assert.deepStrictEqual(yield* collect(dialled), ["answer", "end"])
      })
    )
  )

  it.effect("who writes to a closed stream hears that nobody reads, and had read everything", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life } = yield* pair()
        const { accepted, dialled } = yield* connected(a, b, life)
        yield* dialled.write(bytes("bye"))
        yield* dialled.close
        assert.deepStrictEqual(yield* collect(accepted), ["bye", "end"])
        yield* Effect.sleep(100)
        yield* accepted.write(bytes("anybody there?"))
        yield* accepted.closed

        const error = yield* Effect.flip(accepted.write(bytes("no")))
        assert.strictEqual(error.reason, "PeerClosed")
        assert.deepStrictEqual(yield* collect(accepted), ["", "end"])
      })
    )
  )

  for (const [name, there, reason] of [
    ["with its reason, to a peer that understands it (wire §17 bit 1)", {}, "PeerAborted"],
    ["without one to any other", plain, "PeerReset"]
  ] as const)
    it.effect(`an abort is told ${name}`, () =>
      NodeNet.run(
        Effect.gen(function* () {
          const { a, b, life } = yield* pair(there)
          const { accepted, dialled } = yield* connected(a, b, life)
          yield* dialled.reset
          assert.deepStrictEqual(yield* collect(accepted), ["", reason])
          assert.deepStrictEqual(yield* collect(dialled), ["", "LocalAbort"])
        })
      )
    )

  it.effect("a dial says whether nobody listens, or the peer is full", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ ports: new PortTable({ ...defaultLimits, connectionsPerPortMax: 1 }, 0) })
        const nobody = yield* Effect.flip(a.node.dial(b.address, PORT))
        yield* b.node.listen(PORT)
        yield* a.node.dial(b.address, PORT)
        const full = yield* Effect.flip(a.node.dial(b.address, PORT))

        assert.instanceOf(nobody, DialError)
        assert.strictEqual(nobody.reason, "Refused")
        assert.strictEqual(nobody.message, "cannot connect to 0:0000.0000.0002: nothing listens on port 1000")
        assert.strictEqual(full.reason, "TooManyConnections")
      })
    )
  )

  for (const [name, there] of [
    ["a peer", {}],
    ["a peer that announces nothing", plain]
  ] as const)
    it.effect(`streams to ${name} that was killed and restarted fail at its first word`, () =>
      NodeNet.run(
        Effect.gen(function* () {
          const { a, b, life, restart } = yield* pair(there)
          const { dialled } = yield* connected(a, b, life)
          const reading = yield* Effect.forkChild(collect(dialled))
          const next = yield* restart
          const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          yield* dialled.write(bytes("are you still there?"))

          assert.deepStrictEqual(yield* Fiber.join(reading), ["", "PeerRestarted"])
          assert.isBelow((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - before, 2_000)
          const error = yield* Effect.flip(dialled.write(bytes("no")))
          assert.instanceOf(error, ConnectionReset)
          assert.include(error.message, "restarted")
          yield* next.node.listen(PORT)
          yield* a.node.dial(next.address, PORT)
        })
      )
    )

  it.effect("a node that stops ends its streams, and says so to who goes on writing", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life } = yield* pair()
        const { accepted, dialled } = yield* connected(a, b, life)
        yield* accepted.write(bytes("last words"))
        yield* Scope.close(life, Exit.void)

        assert.deepStrictEqual(yield* collect(dialled), ["last words", "end"])
        yield* dialled.closed
        assert.strictEqual((yield* Effect.flip(dialled.write(bytes("x")))).reason, "PeerStopped")
      })
    )
  )

  it.effect("a restarted peer dials from the ports of a stream of before, at once", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life, restart } = yield* pair()
        const listener = yield* a.node.listen(PORT)
        yield* Scope.provide(b.node.dial(a.address, PORT), life)
        const stale = yield* listener.accept
        const next = yield* restart

        const dialled = yield* next.node.dial(a.address, PORT, { timeoutMs: 3_000 })
        const accepted = yield* listener.accept
        yield* dialled.write(bytes("anew"))
        yield* dialled.end

        assert.strictEqual(accepted.remotePort, stale.remotePort)
        assert.deepStrictEqual(yield* collect(stale), ["", "PeerRestarted"])
        assert.deepStrictEqual(yield* collect(accepted), ["anew", "end"])
      })
    )
  )

  it.effect("a stream that one end has lost ends at the other with its next word", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, life, net } = yield* pair()
        const { accepted, dialled } = yield* connected(a, b, life)
        net.network.partition([HERE], [THERE])
        yield* accepted.reset
        yield* Effect.sleep(100)
        net.network.heal()
        yield* dialled.write(bytes("hello?"))

        assert.deepStrictEqual(yield* collect(dialled), ["", "PeerRestarted"])
      })
    )
  )
})
