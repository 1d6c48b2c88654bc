import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { type Connection, type ConnectionReset, DialError } from "../../../src/actors/node/Node.ts"
import { type Opened, StreamObserver } from "../../../src/actors/node/StreamObserver.ts"
import type { StreamSample } from "../../../src/protocol/stream/StreamSample.ts"
import { Port } from "../../../src/protocol/wire/Address.ts"
import * as NodeNet from "../../support/NodeNet.ts"

const PORT = Port(1000)
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Two nodes that trust each other. */
const pair = Effect.fnUntraced(function* (options?: Parameters<typeof NodeNet.make>[0]) {
  const net = yield* NodeNet.make(options)
  const a = yield* net.node("192.0.2.1")
  const b = yield* net.node("192.0.2.2")
  yield* NodeNet.pinEachOther(a, b)
  return { net, a, b }
})

/** Everything a stream delivers until its end. */
const collect = Effect.fnUntraced(function* (connection: {
  readonly read: Effect.Effect<Uint8Array, ConnectionReset | Cause.Done>
}) {
  const chunks: Array<Uint8Array> = []
  while (true) {
    const chunk = yield* Effect.exit(connection.read)
    if (Exit.isFailure(chunk)) return Buffer.concat(chunks)
    chunks.push(chunk.value)
  }
})

describe("streams between nodes", () => {
  it.effect("carry bytes both ways, and end cleanly", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 10 } })
        const listener = yield* b.node.listen(PORT)

        const dialled = yield* a.node.dial(b.address, PORT)
        yield* dialled.write(bytes("hello"))
        const accepted = yield* listener.accept
        yield* accepted.write(yield* accepted.read)
        const answer = yield* dialled.read
        yield* accepted.close
        const end = yield* Effect.flip(dialled.read)

        assert.strictEqual(text(answer), "hello")
        assert.isTrue(Cause.isDone(end))
      })
    )
  )

  it.effect("take seven datagrams for a question and an answer that are given at once, both ends included", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 10 } })
        const listener = yield* b.node.listen(PORT)
        const served = Effect.gen(function* () {
          const accepted = yield* listener.accept
          yield* Effect.ignore(Effect.forever(Effect.flatMap(accepted.read, accepted.write)))
          yield* accepted.close
        })
        yield* Effect.forkScoped(Effect.forever(served))
        const asked = Effect.scoped(
          Effect.gen(function* () {
            const dialled = yield* a.node.dial(b.address, PORT)
            yield* dialled.write(bytes("?"))
            yield* dialled.read
          })
        )
        const sent = Effect.map(Effect.all([a.node.status, b.node.status]), (statuses) =>
          statuses.map(({ sentDatagrams }) => sentDatagrams)
        )
        // Keys, announcements and the size of datagrams are agreed on.
        yield* asked
        yield* Effect.sleep("5 seconds")
        const before = yield* sent

        yield* asked
        yield* Effect.sleep("2 seconds")

        // SYN, acknowledgement with the question, acknowledgement, FIN; SYN-ACK, answer, FIN-ACK.
        assert.deepStrictEqual(
          (yield* sent).map((count, index) => count - before[index]!),
          [4, 3]
        )
      })
    )
  )

  it.effect("are written apart from their connection, as adapters and services do", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 10 } })
        const listener = yield* b.node.listen(PORT)

        const { write } = yield* a.node.dial(b.address, PORT)
        yield* write(bytes("hello"))
        const accepted = yield* listener.accept

        assert.strictEqual(text(yield* accepted.read), "hello")
      })
    )
  )

  it.effect("are watched by whoever provides an observer to the node", () => {
    const samples: Array<StreamSample & { readonly connection: number }> = []
    const watched = Effect.gen(function* () {
      const { a, b } = yield* pair({ link: { delayMs: 10 } })
      const listener = yield* b.node.listen(PORT)
      const dialled = yield* a.node.dial(b.address, PORT)
      yield* dialled.write(new Uint8Array(10_000))
      const accepted = yield* listener.accept
      yield* accepted.read
      return { dialled, accepted }
    })
    const observer = ({ connection, direction }: Opened) =>
      direction === "dialled" ? (sample: StreamSample) => samples.push({ ...sample, connection }) : undefined
    return Effect.gen(function* () {
      const { dialled } = yield* NodeNet.run(watched).pipe(Effect.provideService(StreamObserver, observer))

      assert.isTrue(samples.length > 0 && samples.every(({ connection }) => connection === dialled.id))
      assert.strictEqual(samples.at(-1)?.bytesSent, 10_000)
    })
  })

  it.effect("read, write and end as effects that may be passed around on their own", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair()
        const listener = yield* b.node.listen(PORT)
        const dialled = yield* a.node.dial(b.address, PORT)
        const { close, read, write } = yield* listener.accept
        yield* Effect.forkScoped(Effect.flatMap(read, write))

        yield* dialled.write(bytes("echo"))
        const echoed = yield* dialled.read
        yield* close

        assert.strictEqual(text(echoed), "echo")
        assert.isTrue(Cause.isDone(yield* Effect.flip(dialled.read)))
      })
    )
  )

  it.effect("deliver everything, in order, over a link that loses, repeats and reorders", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({
          seed: 7,
          link: { delayMs: 10, jitterMs: 10, lossRate: 0.03, duplicationRate: 0.02, reorderRate: 0.02 }
        })
        const listener = yield* b.node.listen(PORT)
        const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) & 0xff))

        const dialled = yield* a.node.dial(b.address, PORT)
        yield* dialled.write(sent)
        yield* dialled.close
        const received = yield* collect(yield* listener.accept)

        assert.isTrue(received.equals(sent))
      })
    )
  )

  it.effect("of a peer that does not read stop nobody else", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 5 } })
        const listener = yield* b.node.listen(PORT)
        const stalled = yield* a.node.dial(b.address, PORT)
        yield* listener.accept
        yield* Effect.forkScoped(stalled.write(new Uint8Array(16 * 1024 * 1024)))
        yield* Effect.sleep(2_000)

        const other = yield* a.node.dial(b.address, PORT)
        yield* other.write(bytes("through"))
        const received = yield* (yield* listener.accept).read

        assert.strictEqual(text(received), "through")
      })
    )
  )

  it.effect("are refused at a port where nobody listens", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair()

        const error = yield* Effect.flip(a.node.dial(b.address, PORT))

        assert.instanceOf(error, DialError)
        assert.strictEqual(error.reason, "Refused")
      })
    )
  )

  it.effect("open all, however many are dialled at once, where somebody takes them in", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 10 } })
        const listener = yield* b.node.listen(PORT)
        const echo = (accepted: Connection) => Effect.flatMap(accepted.read, accepted.write)
        yield* Effect.forkScoped(
          Effect.forever(Effect.flatMap(listener.accept, (accepted) => Effect.forkChild(Effect.ignore(echo(accepted)))))
        )
        const asked = Effect.gen(function* () {
          const dialled = yield* a.node.dial(b.address, PORT)
          yield* dialled.write(bytes("?"))
          return text(yield* dialled.read)
        })

        const answers = yield* Effect.all(
          Array.from({ length: 300 }, () => asked),
          { concurrency: "unbounded" }
        )

        assert.deepStrictEqual([...new Set(answers)], ["?"])
      })
    )
  )

  it.effect("fail where nobody takes them in and as many wait as may, with the reason", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair({ link: { delayMs: 10 } })
        yield* b.node.listen(PORT)
        for (let count = 0; count < 1024; count++) yield* a.node.dial(b.address, PORT)

        const error = yield* Effect.flip(a.node.dial(b.address, PORT))

        assert.strictEqual(error.reason, "TooManyConnections")
      })
    )
  )

  it.effect("are not opened by a repeat of a SYN that was refused, under way when somebody began to listen", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* pair({ link: { delayMs: 10 } })
        yield* a.node.ping(b.address, 5_000)
        net.network.setLink("192.0.2.1", "192.0.2.2", { delayMs: 300 })
        const dialling = yield* Effect.forkScoped(Effect.flip(a.node.dial(b.address, PORT)))
        // The first SYN has been refused, the first repeat has left and not arrived.
        yield* Effect.sleep("310 millis")

        const listener = yield* b.node.listen(PORT)
        const accepting = yield* Effect.forkScoped(listener.accept)
        yield* Effect.sleep("2 seconds")

        assert.strictEqual((yield* Fiber.join(dialling)).reason, "Refused")
        assert.isUndefined(accepting.pollUnsafe())
      })
    )
  )

  it.effect("to the node itself need no tunnel (node §1.5)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, net } = yield* pair()
        let datagrams = 0
        net.network.tap(() => void datagrams++)
        const listener = yield* a.node.listen(PORT)

        const dialled = yield* a.node.dial(a.address, PORT)
        yield* dialled.write(bytes("me"))
        const received = yield* (yield* listener.accept).read

        assert.strictEqual(text(received), "me")
        assert.strictEqual(datagrams, 0)
      })
    )
  )

  it.effect("fail for a node id that nobody has", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a } = yield* pair()

        const error = yield* Effect.flip(a.node.dial({ ...a.address, node: 77 as typeof a.address.node }, PORT))

        assert.strictEqual(error.reason, "NotFound")
      })
    )
  )

  it.effect("time out towards a peer that is gone, and say so", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* pair()
        net.network.partition(["192.0.2.1"], ["192.0.2.2"])

        const error = yield* Effect.flip(a.node.dial(b.address, PORT, { timeoutMs: 3_000 }))

        assert.strictEqual(error.reason, "Timeout")
      })
    )
  )

  it.effect("end when the node at the other end stops (rendezvous §9.4)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make({ link: { delayMs: 5 } })
        const a = yield* net.node("192.0.2.1")
        const ending = yield* Scope.make()
        const b = yield* Scope.provide(net.node("192.0.2.2"), ending)
        yield* NodeNet.pinEachOther(a, b)
        const listener = yield* Scope.provide(b.node.listen(PORT), ending)
        const stream = yield* a.node.dial(b.address, PORT)
        const accepted = yield* listener.accept
        yield* accepted.write(bytes("last words"))

        yield* Scope.close(ending, Exit.void)
        const received = yield* stream.read
        const end = yield* Effect.flip(stream.read)

        assert.strictEqual(text(received), "last words")
        assert.isTrue(Cause.isDone(end))
      }),
      20_000
    )
  )

  it.effect("leave no connection behind after TIME_WAIT", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* pair()
        const listener = yield* b.node.listen(PORT)
        for (let dials = 0; dials < 50; dials++) {
          const dialled = yield* a.node.dial(b.address, PORT)
          const accepted = yield* listener.accept
          yield* dialled.close
          yield* accepted.close
          yield* Effect.sleep(110)
        }
        yield* Effect.sleep(30_000)

        assert.deepStrictEqual((yield* a.node.status).connections, [])
        assert.deepStrictEqual((yield* b.node.status).connections, [])
      })
    )
  )
})
