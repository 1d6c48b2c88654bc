import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import type { IpcReply } from "../../../src/protocol/wire/IpcReply.ts"
import type { IpcRequest } from "../../../src/protocol/wire/IpcRequest.ts"
import * as IpcRig from "../../support/IpcRig.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

const PEER = Address.make(0, 2)
const bytes = (text: string): Uint8Array => Bytes.fromUtf8(text)
const dial = (node: number, port = 7): IpcRequest => ({
  _tag: "Dial",
  address: Address.make(0, node),
  port: Address.Port(port)
})
const bind = (port: number): IpcRequest => ({ _tag: "Bind", port: Address.Port(port) })
const send = (connection: number, text: string): IpcRequest => ({ _tag: "Send", connection, data: bytes(text) })
const close = (connection: number): IpcRequest => ({ _tag: "Close", connection })
const INFO: IpcRequest = { _tag: "Info" }

/** A client that has dialled node 2; the connection has id 1. */
const dialled = Effect.gen(function* () {
  const rig = yield* IpcRig.make
  const client = yield* rig.connect
  yield* client.send(dial(2))
  assert.deepStrictEqual(yield* client.next, { _tag: "DialOk", connection: 1 })
  return { ...rig, client, far: rig.node.streams.get(1)! }
})

describe("IpcServerActor answers", () => {
  // Refused on purpose, where the reference answers: nobody waits for the reply of a Send (node §1.5).
  const neverAnswered = new Set([
    "send_short",
    "send_unknown_conn",
    "sendto_short",
    "sendto_broadcast",
    "sendto_unknown"
  ])
  // Different on purpose; the tests below say how.
  const different = new Set([
    "info",
    "unknown_newer_health",
    "handshake_unknown_sub",
    "dial_ok",
    "dial_self",
    "resolve_ok",
    "handshake_trusted",
    "set_webhook_url",
    "set_webhook_clear",
    "set_tags_badjson"
  ])
  const others = vectors.ipc.exchanges.filter(({ name }) => !different.has(name))

  for (const { name, request, replies } of others) {
    it.effect(`${name} as the reference does`, () =>
      Effect.gen(function* () {
        const { connect } = yield* IpcRig.make
        const client = yield* connect
        yield* client.sendHex(request?.hex ?? "")
        if (!neverAnswered.has(name))
          for (const reply of replies ?? []) assert.strictEqual(yield* client.nextHex, reply.hex)
        // Whatever came before, the socket is in step: the next reply is that of the next request.
        yield* client.send(close(424242))
        assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection: 424242 })
      })
    )
  }

  it.effect("a resolved name with the fingerprint of its key (security rule 1)", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const client = yield* connect
      yield* client.send({ _tag: "ResolveHostname", name: "bravo" })
      const reply = yield* client.next

      const value = reply._tag === "Answer" ? reply.value : {}
      assert.strictEqual(Json.string(value, "address"), "0:0000.0000.0002")
      assert.match(Json.string(value, "fingerprint"), /^([0-9A-Z]{4}-){7}[0-9A-Z]{4}$/)
    })
  )

  it.effect("Info with every key of the reference, of its type (node §1.7)", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const client = yield* connect
      yield* client.send(INFO)
      const reply = yield* client.next

      const value = reply._tag === "Answer" ? reply.value : {}
      for (const [key, type] of Object.entries(INFO_KEYS)) assert.strictEqual(typeof value[key], type, key)
      assert.isArray(value["conn_list"])
    })
  )

  it.effect("random bytes without dying (node §1.2)", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const wild = yield* connect
      yield* wild.sendHex("00ffffff")
      yield* wild.ended
      const client = yield* connect
      yield* client.send(close(1))
      assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection: 1 })
    })
  )

  it.effect("not at all to a frame above 1 MiB: the client is disconnected (node §1.2)", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const client = yield* connect
      yield* client.sendHex("00100001")
      yield* client.ended
      assert.strictEqual(yield* client.arrived, 0)
    })
  )
})

describe("IpcServerActor orders", () => {
  it.effect("replies by their requests, while a dial takes its time (node §1.3 rules 1, 5)", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      const gate = yield* Deferred.make<void>()
      node.gates.set(2, gate)
      yield* client.send(dial(2), close(7), INFO, dial(5))
      yield* settle
      assert.strictEqual(yield* client.arrived, 0)

      yield* Deferred.succeed(gate, undefined)

      assert.deepStrictEqual(
        [(yield* client.next)._tag, (yield* client.next)._tag, (yield* client.next)._tag, (yield* client.next)._tag],
        ["DialOk", "CloseOk", "Answer", "DialOk"]
      )
    })
  )

  it.effect("Sends of other connections past a dial that waits (node §1.3 rule 5)", () =>
    Effect.gen(function* () {
      const { client, far, node } = yield* dialled
      node.gates.set(9, yield* Deferred.make<void>())
      yield* client.send(dial(9), send(1, "past"), close(1))
      yield* settle

      assert.deepStrictEqual(far.written, [bytes("past")])
      assert.isTrue(far.isClosed)
    })
  )

  it.effect("a Close behind all Sends before it, though the stream is slow (node §1.3 rule 3)", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      const gate = yield* Deferred.make<void>()
      far.stalled = gate
      yield* client.send(send(1, "a"), send(1, "b"), close(1))
      yield* settle
      assert.isFalse(far.isClosed)

      yield* Deferred.succeed(gate, undefined)
      yield* settle

      assert.deepStrictEqual(far.written, [bytes("a"), bytes("b")])
      assert.isTrue(far.isClosed)
    })
  )

  it.effect("DialOK before the first data (node §1.3 rule 4)", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      const gate = yield* Deferred.make<void>()
      node.gates.set(9, gate)
      yield* client.send(dial(9), dial(2))
      yield* settle
      node.streams.get(1)!.say(bytes("early"))
      yield* settle
      yield* Deferred.succeed(gate, undefined)

      const replies = yield* Effect.all([client.next, client.next, client.next])
      assert.deepStrictEqual(
        replies.map(({ _tag }) => _tag),
        ["DialOk", "DialOk", "Recv"]
      )
    })
  )

  it.effect("BindOK well before the first Accept, and Accept before its data (node §1.3 rule 4)", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      yield* client.send(bind(5000))
      assert.deepStrictEqual(yield* client.next, { _tag: "BindOk", port: Address.Port(5000) })
      const far = node.arrive(5000, 2)
      far.say(bytes("hello"))
      yield* settle
      assert.strictEqual(yield* client.arrived, 0)

      yield* TestClock.adjust("5 millis")

      const accept: IpcReply = {
        _tag: "Accept",
        localPort: Address.Port(5000),
        connection: 1,
        remote: PEER,
        remotePort: Address.Port(50000)
      }
      assert.deepStrictEqual(yield* client.next, accept)
      assert.deepStrictEqual(yield* client.next, { _tag: "Recv", connection: 1, data: bytes("hello") })
    })
  )
})

describe("IpcServerActor streams", () => {
  it.effect("two CloseOK for a Close, one when the stream had ended (node §1.5)", () =>
    Effect.gen(function* () {
      const { client } = yield* dialled
      yield* client.send(close(1), dial(2))
      const closing = yield* Effect.all([client.next, client.next, client.next])
      assert.deepStrictEqual(
        closing.map(({ _tag }) => _tag),
        ["CloseOk", "CloseOk", "DialOk"]
      )

      const { client: other, far } = yield* dialled
      far.finish()
      assert.deepStrictEqual(yield* other.next, { _tag: "CloseOk", connection: 1 })
      yield* other.send(close(1), close(99))
      assert.deepStrictEqual(yield* other.next, { _tag: "CloseOk", connection: 1 })
      assert.deepStrictEqual(yield* other.next, { _tag: "CloseOk", connection: 99 })
    })
  )

  it.effect("keeps a stream open after the peer's end for a client that knows ends, and closes it for any other", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      yield* client.send({ _tag: "Extension", op: "streams", value: { ends: true } })
      assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value: { ends: true } })
      far.finish()
      assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection: 1 })
      yield* client.send(send(1, "after the end"), { _tag: "Extension", op: "stream.end", value: { connection: 1 } })
      assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value: { connection: 1 } })
      yield* client.send(send(1, "too late"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(far.written.map(Bytes.toUtf8Lossy), ["after the end"])
      assert.deepStrictEqual([far.isEnded, far.isClosed], [true, false])

      const other = yield* dialled
      other.far.finish()
      assert.deepStrictEqual(yield* other.client.next, { _tag: "CloseOk", connection: 1 })
      yield* TestClock.adjust(1)
      assert.isTrue(other.far.isClosed)
    })
  )

  it.effect("turns Nagle on and off for a stream of the client", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      for (const on of [false, true]) {
        yield* client.send({ _tag: "Extension", op: "stream.nodelay", value: { connection: 1, on } })
        assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value: { connection: 1 } })
        assert.strictEqual(far.isPrompt, on)
      }
    })
  )

  it.effect("says why a stream was reset, to a client that knows ends only", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      yield* client.send({ _tag: "Extension", op: "streams", value: { ends: true } })
      yield* client.next
      far.fail("PeerRestarted")
      const value = { event: "stream.reset", connection: 1, reason: "PeerRestarted" }
      assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value })
      assert.deepStrictEqual(yield* client.next, { _tag: "CloseOk", connection: 1 })

      const other = yield* dialled
      other.far.fail("PeerRestarted")
      assert.deepStrictEqual(yield* other.client.next, { _tag: "CloseOk", connection: 1 })
    })
  )

  it.effect("segments whole up to 4096 bytes, longer ones in pieces (node §1.5)", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      far.say(new Uint8Array(4096))
      far.say(new Uint8Array(9000))
      const sizes = []
      for (let count = 0; count < 4; count++) {
        const reply = yield* client.next
        sizes.push(reply._tag === "Recv" ? reply.data.length : -1)
      }
      assert.deepStrictEqual(sizes, [4096, 4096, 4096, 808])
    })
  )

  it.effect("longer pieces to a client of ours", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      yield* client.send({ _tag: "Extension", op: "streams", value: { ends: true } })
      yield* client.next
      far.say(new Uint8Array(40_000))
      const sizes = []
      for (let count = 0; count < 3; count++) {
        const reply = yield* client.next
        sizes.push(reply._tag === "Recv" ? reply.data.length : -1)
      }
      assert.deepStrictEqual(sizes, [16_384, 16_384, 7232])
    })
  )

  it.effect("a dial by name, and says which of its steps failed", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      const ask = (target: string, port: number) =>
        client.send({ _tag: "Extension", op: "dial", value: { target, port, ends: true } })
      yield* ask("bravo", 7)
      const value = { dialled: 1, node_id: 2, address: "0:0000.0000.0002" }
      assert.deepStrictEqual(yield* client.next, { _tag: "Answer", to: "Extension", value })
      node.streams.get(1)!.say(bytes("hi"))
      assert.deepStrictEqual(yield* client.next, { _tag: "Recv", connection: 1, data: bytes("hi") })

      const refusals = []
      for (const [target, port] of [
        ["nobody", 7],
        ["0:0000.0000.0002", 12345],
        ["", 7]
      ] as const) {
        yield* ask(target, port)
        const reply = yield* client.next
        refusals.push(reply._tag === "Error" ? reply.message : reply._tag)
      }
      assert.deepStrictEqual(refusals, [
        "resolve_hostname: registry: request failed",
        "connection refused",
        "peer: missing target"
      ])
    })
  )

  it.effect("closes any id, but takes data only from its owner (node §1.5)", () =>
    Effect.gen(function* () {
      const { connect, far, node } = yield* dialled
      const stranger = yield* connect
      yield* stranger.send(send(1, "not mine"), close(1))
      assert.deepStrictEqual(yield* stranger.next, { _tag: "CloseOk", connection: 1 })

      assert.deepStrictEqual(far.written, [])
      assert.deepStrictEqual(node.closedById, [1])
    })
  )

  it.effect(
    "a client that hangs up: what it has sent is delivered, then closed, and its ports are free (node §1.6)",
    () =>
      Effect.gen(function* () {
        const { client, far, node } = yield* dialled
        const gate = yield* Deferred.make<void>()
        far.stalled = gate
        yield* client.send(bind(5000), send(1, "last words"))
        yield* client.next
        yield* client.hangUp
        yield* settle
        assert.isFalse(far.isClosed)
        assert.isFalse(node.listeners.has(5000))

        yield* Deferred.succeed(gate, undefined)
        yield* settle

        assert.deepStrictEqual(far.written, [bytes("last words")])
        assert.isTrue(far.isClosed)
      })
  )

  it.effect("a dial whose client hangs up leaves nothing open", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      const gate = yield* Deferred.make<void>()
      node.gates.set(2, gate)
      yield* client.send(dial(2))
      yield* settle
      yield* client.hangUp
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle

      assert.deepStrictEqual(
        [...node.streams.values()].filter(({ isClosed }) => !isClosed),
        []
      )
    })
  )

  it.effect("a client that does not read stops the stream, then is disconnected after 10 s (node §1.3 rule 6)", () =>
    Effect.gen(function* () {
      const { client, far } = yield* dialled
      client.reading.closeUnsafe()
      let said = 0
      for (; said < 1000; said++) far.say(new Uint8Array(4096))
      yield* settle
      yield* TestClock.adjust("9 seconds")
      assert.isFalse(far.isClosed)

      yield* TestClock.adjust("2 seconds")
      client.reading.openUnsafe()
      yield* client.ended
      yield* settle

      assert.isTrue(far.isClosed)
      assert.isBelow(yield* client.arrived, said)
    })
  )

  it.effect("delivers datagrams to every client, and drops empty ones (node §1.5)", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const clients = yield* Effect.all([connect, connect])
      yield* clients[0].send(INFO)
      yield* clients[1].send(INFO)
      yield* Effect.all([clients[0].next, clients[1].next])
      const datagram = { source: PEER, sourcePort: Address.Port(49168), destinationPort: Address.Port(6000) }
      for (const queue of node.datagrams) {
        const { offerUnsafe } = yield* Effect.promise(() => import("effect/Queue"))
        offerUnsafe(queue, { ...datagram, payload: Bytes.empty })
        offerUnsafe(queue, { ...datagram, payload: bytes("hi dg") })
      }
      for (const client of clients)
        assert.deepStrictEqual(yield* client.next, { _tag: "RecvFrom", ...datagram, data: bytes("hi dg") })
    })
  )
})

describe("IpcServerActor limits", () => {
  it.effect("cuts what would exceed 1 MiB and says so (node §1.7)", () =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      node.peersCount = 10_000
      const client = yield* connect
      yield* client.send(INFO)
      const reply = yield* client.next

      const value = reply._tag === "Answer" ? reply.value : {}
      assert.isTrue(Json.boolean(value, "peer_list_truncated"))
      assert.isAbove(Json.list(value, "peer_list").length, 1000)
      assert.strictEqual(Json.integer(value, "peers"), 10_000)
    })
  )

  it.effect("refuses a port twice and frees it with its client", () =>
    Effect.gen(function* () {
      const { connect } = yield* IpcRig.make
      const first = yield* connect
      const second = yield* connect
      yield* first.send(bind(5000), bind(5000))
      assert.deepStrictEqual(
        [(yield* first.next)._tag, yield* first.next],
        ["BindOk", { _tag: "Error", code: 1, message: "port 5000 already bound" }]
      )
      yield* first.hangUp
      yield* settle
      yield* second.send(bind(5000))
      assert.strictEqual((yield* second.next)._tag, "BindOk")
    })
  )
})

describe("IpcServerActor our own operations", () => {
  const ask = (op: string, value: Json.JsonObject) =>
    Effect.gen(function* () {
      const { connect, node } = yield* IpcRig.make
      const client = yield* connect
      yield* client.send({ _tag: "Extension", op, value })
      const reply = yield* client.next
      return {
        node,
        value: reply._tag === "Answer" ? reply.value : {},
        text: reply._tag === "Error" ? reply.message : ""
      }
    })

  it.effect("accept a key only by its whole fingerprint (security rule 1)", () =>
    Effect.gen(function* () {
      const wrong = yield* ask("pin.accept", { node: 2, fingerprint: "0000-0000-0000-0000-0000-0000-0000-0000" })
      assert.match(wrong.text, /^pin\.accept: fingerprint mismatch/)
      assert.deepStrictEqual(wrong.node.accepted, [])

      const shown = Json.string((yield* ask("peer", { target: "bravo" })).value, "fingerprint")
      const right = yield* ask("pin.accept", { name: "bravo", fingerprint: shown.toLowerCase() })
      assert.deepStrictEqual(right.node.accepted, [{ node: 2, name: "bravo" }])
      assert.deepStrictEqual([wrong.node.dropped, right.node.dropped], [[], [2]], "its tunnel was the old key's")
    })
  )

  it.effect("approve with the fingerprint a person compared", () =>
    Effect.gen(function* () {
      const shown = Json.string((yield* ask("peer", { target: "2" })).value, "fingerprint")
      const { node, value } = yield* ask("approve", { node: 2, fingerprint: shown })

      assert.deepStrictEqual(node.approvals, [{ node: 2, fingerprint: shown }])
      assert.strictEqual(Json.string(value, "fingerprint"), shown)
      assert.strictEqual(
        (yield* ask("approve", { node: 2, fingerprint: "abc" })).text,
        "handshake approve: not a fingerprint"
      )
    })
  )

  it.effect("ping inside the tunnel and list trusted keys", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* ask("ping", { node: 2 })).value, { node_id: 2, rtt_ms: 1.235 })
      assert.strictEqual(Json.objects((yield* ask("trust.keys", {})).value, "trusted").length, 1)
      assert.strictEqual((yield* ask("what", {})).text, "unknown operation: what")
    })
  )
})

describe("IpcServerActor never", () => {
  it.effect.prop(
    "answers out of step, whatever the requests",
    [
      Schema.Array(Schema.Literals(["info", "close", "bind", "dial", "refused", "send", "health"])).check(
        Schema.isMaxLength(40)
      )
    ],
    ([kinds]) =>
      Effect.gen(function* () {
        const { connect } = yield* IpcRig.make
        const client = yield* connect
        yield* client.send(...kinds.map((kind, index) => REQUESTS[kind](index)))
        const expected = kinds.flatMap((kind, index) => EXPECTED[kind](index))
        for (const tag of expected) {
          // What is pushed between the replies is not a reply.
          let reply = yield* client.next
          while (reply._tag === "Recv") reply = yield* client.next
          assert.strictEqual(reply._tag, tag)
        }
      })
  )
})

type Kind = "info" | "close" | "bind" | "dial" | "refused" | "send" | "health"

const REQUESTS: Readonly<Record<Kind, (index: number) => IpcRequest>> = {
  info: () => INFO,
  health: () => ({ _tag: "Health" }),
  close: (index) => close(100_000 + index),
  bind: (index) => bind(6000 + index),
  dial: () => dial(2),
  refused: () => dial(2, 12345),
  send: () => send(77_777, "nobody")
}

const EXPECTED: Readonly<Record<Kind, (index: number) => ReadonlyArray<IpcReply["_tag"]>>> = {
  info: () => ["Answer"],
  health: () => ["Answer"],
  close: () => ["CloseOk"],
  bind: () => ["BindOk"],
  dial: () => ["DialOk"],
  refused: () => ["Error"],
  send: () => []
}

/** Lets everything that is ready run. */
const settle = Effect.repeat(TestClock.adjust(0), { times: 20 })

const INFO_KEYS = {
  address: "string",
  authenticated_peers: "number",
  bytes_recv: "number",
  bytes_sent: "number",
  connections: "number",
  encrypt: "boolean",
  encrypted_peers: "number",
  hostname: "string",
  identity: "boolean",
  node_id: "number",
  owner: "string",
  peers: "number",
  pkts_recv: "number",
  pkts_sent: "number",
  ports: "number",
  public_key: "string",
  uptime_secs: "number",
  email: "string",
  fingerprint: "string",
  version: "string"
}
