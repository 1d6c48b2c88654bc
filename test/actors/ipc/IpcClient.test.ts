import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as IpcClient from "../../../src/actors/ipc/IpcClient.ts"
import type { IpcError } from "../../../src/actors/ipc/IpcError.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import type { IpcReply } from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcReplies from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRig from "../../support/IpcRig.ts"
import * as ModelDaemon from "../../support/ModelDaemon.ts"

const PEER = Address.make(0, 2)
const ECHO = Address.Port(7)
const bytes = (text: string): Uint8Array => Bytes.fromUtf8(text)

/** A client of a daemon of ours over a scripted node. */
const ours = Effect.gen(function* () {
  const rig = yield* IpcRig.make
  const client = yield* IpcClient.make(yield* rig.socket)
  return { ...rig, client }
})

/** A client of a daemon that answers as scripted. */
const of = (respond: ModelDaemon.Respond) =>
  Effect.gen(function* () {
    const daemon = ModelDaemon.make(respond)
    const client = yield* IpcClient.make(yield* daemon.local.connect("/s", [0]))
    return { daemon, client }
  })

const reasonOf = <A>(effect: Effect.Effect<A, IpcError | Cause.Done>) =>
  Effect.map(Effect.flip(effect), (error) => (Cause.isDone(error) ? "Done" : error.reason))

describe("IpcClient over a daemon of ours", () => {
  it.effect("a stream both ways, until its end", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const connection = yield* client.dial(PEER, ECHO)
      const far = node.streams.get(connection.id)!
      yield* connection.write(bytes("ping"))
      far.say(bytes("pong"))
      assert.deepStrictEqual(yield* connection.read, bytes("pong"))
      far.finish()

      assert.strictEqual(yield* reasonOf(connection.read), "Done")
      assert.deepStrictEqual(far.written, [bytes("ping")])
    })
  )

  it.effect("writes of any length arrive whole and in order", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const connection = yield* client.dial(PEER, ECHO)
      const sent = Uint8Array.from({ length: 300_000 }, (_, index) => index & 0xff)
      yield* connection.write(sent)
      yield* settle

      assert.deepStrictEqual(Bytes.concat(...node.streams.get(1)!.written), sent)
    })
  )

  it.effect("accepted streams come to the one who bound the port", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const listener = yield* client.bind(Address.Port(5000))
      const accepting = yield* Effect.forkChild(listener.accept)
      node.arrive(5000, 2).say(bytes("hi"))
      yield* TestClock.adjust("10 millis")
      const connection = yield* Fiber.join(accepting)

      assert.deepStrictEqual([connection.remote, connection.localPort], [PEER, Address.Port(5000)])
      assert.deepStrictEqual(yield* connection.read, bytes("hi"))
    })
  )

  it.effect("the end of its scope closes a dialled stream", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      yield* Effect.scoped(client.dial(PEER, ECHO))
      yield* settle

      assert.isTrue(node.streams.get(1)!.isClosed)
    })
  )

  it.effect("an interrupted dial leaves nothing open, and the next reply finds its request (node §1.3)", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const gate = yield* Deferred.make<void>()
      node.gates.set(2, gate)
      const dialling = yield* Effect.forkChild(Effect.scoped(client.dial(PEER, ECHO)))
      yield* settle
      yield* Fiber.interrupt(dialling)
      const info = yield* Effect.forkChild(client.info)
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle

      assert.strictEqual(Json.integer(yield* Fiber.join(info), "node_id"), 1)
      assert.isTrue([...node.streams.values()].every(({ isClosed }) => isClosed))
    })
  )

  it.effect("a dial by name is one question, whose stream has two ends", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const connection = yield* client.dialTarget("bravo", ECHO)
      const far = node.streams.get(connection.id)!
      assert.deepStrictEqual([connection.remote, connection.remotePort], [PEER, ECHO])
      far.finish()
      assert.strictEqual(yield* reasonOf(connection.read), "Done")
      yield* connection.write(bytes("still"))
      yield* connection.endWriting
      yield* settle

      assert.deepStrictEqual(far.written, [bytes("still")])
      assert.isTrue(far.isEnded)
      assert.isFalse(far.isClosed)
    })
  )

  it.effect("the end of a stream does not wait for a dial under way, and each answer finds its question", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const connection = yield* client.dialTarget("bravo", ECHO)
      const far = node.streams.get(connection.id)!
      const gate = yield* Deferred.make<void>()
      node.gates.set(2, gate)
      const dialling = yield* Effect.forkChild(client.dialTarget("bravo", ECHO))
      yield* settle
      const ending = yield* Effect.forkChild(connection.endWriting)
      yield* settle
      assert.isTrue(far.isEnded)
      assert.isDefined(ending.pollUnsafe())

      yield* Deferred.succeed(gate, undefined)
      const second = yield* Fiber.join(dialling)
      yield* second.write(bytes("here"))
      yield* settle
      assert.strictEqual(Json.integer(yield* client.info, "node_id"), 1)
      assert.deepStrictEqual(node.streams.get(second.id)!.written, [bytes("here")])
    })
  )

  it.effect("an interrupted dial by name leaves nothing open either", () =>
    Effect.gen(function* () {
      const { client, node } = yield* ours
      const gate = yield* Deferred.make<void>()
      node.gates.set(2, gate)
      const dialling = yield* Effect.forkChild(Effect.scoped(client.dialTarget("0:0000.0000.0002", ECHO)))
      yield* settle
      yield* Fiber.interrupt(dialling)
      yield* Deferred.succeed(gate, undefined)
      yield* settle

      assert.strictEqual(node.streams.size, 1)
      assert.isTrue(node.streams.get(1)!.isClosed)
    })
  )

  it.effect("a refusal carries the daemon's words", () =>
    Effect.gen(function* () {
      const { client } = yield* ours
      const error = yield* Effect.flip(Effect.scoped(client.dial(PEER, Address.Port(12345))))

      assert.deepStrictEqual([error.reason, error.operation, error.detail], ["Daemon", "dial", "connection refused"])
    })
  )
})

describe("IpcClient over a daemon of the reference", () => {
  it.effect("data before DialOK, a second CloseOK, foreign datagrams and errors for Sends (node §12)", () =>
    Effect.gen(function* () {
      const datagram: IpcReply = {
        _tag: "RecvFrom",
        source: PEER,
        sourcePort: ECHO,
        destinationPort: ECHO,
        data: bytes("d")
      }
      const recv: IpcReply = { _tag: "Recv", connection: 9, data: bytes("early") }
      const { client } = yield* of((request) => {
        switch (request._tag) {
          case "Dial":
            return [datagram, recv, { _tag: "DialOk", connection: 9 }]
          case "Send":
            return [IpcReplies.error("send: connection not established")]
          case "Close":
            return [
              { _tag: "CloseOk", connection: 9 },
              { _tag: "CloseOk", connection: 9 }
            ]
          default:
            return ModelDaemon.json("Info", { node_id: 1 })
        }
      })
      const connection = yield* client.dial(PEER, ECHO)
      assert.deepStrictEqual(yield* connection.read, bytes("early"))
      const info = yield* Effect.forkChild(client.info)
      yield* connection.write(bytes("x"))
      assert.strictEqual(Json.integer(yield* Fiber.join(info), "node_id"), 1)
      yield* connection.end

      assert.strictEqual(Json.integer(yield* client.info, "node_id"), 1)
      assert.strictEqual(yield* reasonOf(connection.write(bytes("y"))), "Closed")
    })
  )

  it.effect("a request that is never answered ends by itself", () =>
    Effect.gen(function* () {
      const { client } = yield* of(() => [])
      const asking = yield* Effect.forkChild(reasonOf(client.info))
      yield* TestClock.adjust("46 seconds")

      assert.strictEqual(yield* Fiber.join(asking), "Timeout")
    })
  )

  it.effect("everything that waits ends when the socket is lost", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const rig = yield* Scope.provide(IpcRig.make, scope)
      const client = yield* IpcClient.make(yield* rig.socket)
      const connection = yield* client.dial(PEER, ECHO)
      rig.node.gates.set(3, yield* Deferred.make<void>())
      const waiting = yield* Effect.forkChild(
        Effect.all([reasonOf(connection.read), reasonOf(Effect.scoped(client.dial(Address.make(0, 3), ECHO)))], {
          concurrency: "unbounded"
        })
      )
      yield* settle
      yield* Scope.close(scope, Exit.void)

      const [reading, dialling] = yield* Fiber.join(waiting)
      // A daemon that stops in order ends its streams first.
      assert.include(["Done", "Disconnected"], reading)
      assert.strictEqual(dialling, "Disconnected")
      assert.strictEqual(yield* reasonOf(client.info), "Disconnected")
    })
  )
})

const settle = Effect.repeat(TestClock.adjust(0), { times: 20 })
