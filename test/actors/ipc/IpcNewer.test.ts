import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Queue } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import type { IpcReply } from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRig from "../../support/IpcRig.ts"

const error = (message: string): IpcReply => ({ _tag: "Error", code: 1, message })
const dial = (node: number) => ({ _tag: "Dial", address: Address.make(0, node), port: Address.Port(7) }) as const

describe("IpcServerActor, commands of newer clients (node §1.9)", () => {
  it.effect("Unbind gives a port of the client back, and no other", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const owner = yield* connect
      const other = yield* connect
      const port = Address.Port(5000)
      yield* owner.send({ _tag: "Bind", port })
      assert.deepStrictEqual(yield* owner.next, { _tag: "BindOk", port })
      yield* other.sendHex("00000003371388")
      assert.deepStrictEqual(yield* other.next, error("unbind: port is not owned by this client"))

      yield* owner.sendHex("00000003371388")
      assert.strictEqual(yield* owner.nextHex, "00000003381388")
      yield* other.send({ _tag: "Bind", port })
      assert.deepStrictEqual(yield* other.next, { _tag: "BindOk", port })
      yield* owner.sendHex("000000023713")
      assert.deepStrictEqual(yield* owner.next, error("unbind: port is required"))
    })
  )

  it.effect("Cancel ends the dials under way, each answered in its place; later ones go on", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      for (const peer of [2, 3]) node.gates.set(peer, yield* Deferred.make<void>())
      yield* client.send(dial(2), dial(3))
      yield* client.sendHex("000000022b00")
      assert.deepStrictEqual(yield* client.next, error("dial: cancelled"))
      assert.deepStrictEqual(yield* client.next, error("dial: cancelled"))

      yield* client.send(dial(2))
      yield* Deferred.succeed(node.gates.get(2)!, undefined)
      assert.strictEqual((yield* client.next)._tag, "DialOk")
    })
  )

  it.effect("SendToConfirm is answered with nothing, or why it has not left", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      yield* client.sendHex("0000000b3900000000000217706869")
      assert.strictEqual(yield* client.nextHex, "000000013a")
      assert.deepStrictEqual(node.sent, [{ to: "0:0000.0000.0002", port: 6000, payload: Bytes.fromUtf8("hi") }])

      yield* client.sendHex("0000000a390000ffffffff177068")
      const broadcast = "sendto: broadcast is not available — custom networks are WIP"
      assert.deepStrictEqual(yield* client.next, error(broadcast))
      yield* client.sendHex("0000000239ff")
      assert.deepStrictEqual(yield* client.next, error("sendto: missing address/port"))
    })
  )

  it.effect("ours: a held datagram port is sent from, and only it is heard; nobody else gets it", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      const other = yield* connect
      const hold = (port: number) => ({ _tag: "Extension", op: "datagrams.hold", value: { port } }) as const
      yield* client.send(hold(0))
      assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value: { port: 50_000 } })
      yield* other.send(hold(50_000))
      assert.deepStrictEqual(yield* other.next, error("datagrams.hold: port 50000 already bound"))

      const [address, port, data] = [Address.make(0, 2), Address.Port(53), Bytes.fromUtf8("hi")]
      yield* client.send({ _tag: "SendToConfirm", address, port, data })
      assert.deepStrictEqual(yield* client.next, { _tag: "SendToConfirmed" })
      assert.deepStrictEqual(node.sent, [{ to: "0:0000.0000.0002", port: 53, payload: data, from: 50_000 }])

      const datagram = { source: address, sourcePort: port, payload: data }
      for (const queue of node.datagrams) Queue.offerUnsafe(queue, { ...datagram, destinationPort: Address.Port(9) })
      Queue.offerUnsafe(node.held.get(50_000)!, { ...datagram, destinationPort: Address.Port(50_000) })
      const pushed = yield* client.next
      assert.deepInclude(pushed, { _tag: "RecvFrom", destinationPort: Address.Port(50_000), data })
      assert.deepInclude(yield* other.next, { _tag: "RecvFrom", destinationPort: Address.Port(9) })
    })
  )
})
