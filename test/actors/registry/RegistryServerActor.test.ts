import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as RegistryServerActor from "../../../src/actors/registry/RegistryServerActor.ts"
import { RegistryStore, RegistryStoreError } from "../../../src/actors/registry/RegistryStore.ts"
import * as RowTable from "../../../src/actors/registry/RowTable.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type * as Json from "../../../src/core/data/Json.ts"
import { type ServedConnection, type ServerEvent, TlsSniffServer } from "../../../src/core/net/TlsSniffServer.ts"
import { noRows } from "../../../src/protocol/registry/Change.ts"
import * as RegistryPolicy from "../../../src/protocol/registry/RegistryPolicy.ts"
import * as RegistryMessage from "../../../src/protocol/wire/RegistryMessage.ts"
import { register, verify } from "../../support/RegistryRequests.ts"

/** A server port without sockets, and a store whose disk can be slow or broken. */
const makeBench = () => {
  let receive: (batch: ReadonlyArray<ServerEvent>) => void = () => {}
  const rows = RowTable.make(noRows)
  const bench = {
    commits: 0,
    isBroken: false,
    diskMs: 0,
    deliver: (...batch: ReadonlyArray<ServerEvent>) => receive(batch)
  }
  const server = Layer.succeed(TlsSniffServer, {
    listen: () =>
      Effect.succeed({
        local: { host: "192.0.2.1", port: 9000 },
        onBatch: (installed: typeof receive) => {
          receive = installed
        },
        adopt: () => {}
      })
  })
  const store = Layer.succeed(RegistryStore, {
    load: Effect.sync(() => RowTable.rows(rows)),
    commit: (changes) =>
      Effect.suspend(() => {
        bench.commits++
        if (bench.isBroken) return Effect.fail(new RegistryStoreError({ operation: "commit", detail: "disk full" }))
        RowTable.apply(rows, changes)
        return Effect.sleep(bench.diskMs)
      })
  })
  const crypto = Layer.succeed(Crypto, { ...NativeCrypto.crypto, verify })
  return { bench, services: Layer.mergeAll(server, store, crypto) }
}

const spawn = (limits: Partial<RegistryServerActor.RegistryServerLimits> = {}) =>
  RegistryServerActor.spawn({
    host: undefined,
    port: 0,
    tls: { certificatePem: "", privateKeyPem: "" },
    policy: RegistryPolicy.defaults,
    limits: { ...RegistryServerActor.defaultLimits, ...limits }
  })

let nextId = 1
const connect = (host = "192.0.2.7") => {
  const splitter = RegistryMessage.makeSplitter()
  const seen = { replies: [] as string[], isPaused: false, isDestroyed: false, isEnded: false, buffered: 0 }
  const connection: ServedConnection = {
    id: nextId++,
    remote: { host, port: 5000 },
    isTls: false,
    bufferedBytes: () => seen.buffered,
    send: (bytes) => {
      for (const frame of splitter.push(bytes).frames) seen.replies.push(Bytes.toUtf8Lossy(frame))
    },
    pause: () => {
      seen.isPaused = true
    },
    resume: () => {
      seen.isPaused = false
    },
    end: () => {
      seen.isEnded = true
    },
    destroy: () => {
      seen.isDestroyed = true
    }
  }
  const received = (...requests: ReadonlyArray<Json.JsonObject>): ServerEvent => ({
    _tag: "Received",
    connection,
    bytes: Bytes.concat(...requests.map(RegistryMessage.encode))
  })
  return { seen, received, opened: { _tag: "Opened", connection } satisfies ServerEvent, connection }
}

const lookup: Json.JsonObject = { type: "lookup", node_id: 1 }
/** Lets everything that is due happen. */
const settle = TestClock.adjust("1 millis")

describe("RegistryServerActor", () => {
  it.effect("acknowledges a change only once it is stored, in one commit for a whole turn", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      yield* spawn()
      const [writer, other, reader] = [connect(), connect(), connect()]
      bench.diskMs = 100
      bench.deliver(writer.opened, other.opened, reader.opened)
      bench.deliver(writer.received(register(1), lookup), other.received(register(2)), reader.received(lookup))
      yield* settle

      assert.deepStrictEqual([writer.seen.replies.length, other.seen.replies.length], [0, 0])
      assert.lengthOf(reader.seen.replies, 1)
      assert.isTrue(writer.seen.isPaused)
      yield* TestClock.adjust("100 millis")

      assert.lengthOf(writer.seen.replies, 2)
      assert.include(writer.seen.replies[0], "register_ok")
      assert.include(writer.seen.replies[1], "lookup_ok")
      assert.lengthOf(other.seen.replies, 1)
      assert.strictEqual(bench.commits, 1)
      assert.isFalse(writer.seen.isPaused)
    }).pipe(Effect.provide(services))
  })

  it.effect("acknowledges nothing that the disk refused, and goes on from what is stored", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      const server = yield* spawn()
      const first = connect()
      bench.deliver(first.opened, first.received(register(1)))
      yield* settle
      bench.isBroken = true
      const second = connect("192.0.2.8")
      bench.deliver(second.opened, second.received(register(2)))
      yield* settle

      assert.deepStrictEqual(second.seen.replies, [])
      assert.isTrue(second.seen.isDestroyed && first.seen.isDestroyed)
      bench.isBroken = false
      const third = connect()
      bench.deliver(third.opened, third.received(lookup, { type: "lookup", node_id: 2 }))
      yield* settle
      assert.include(third.seen.replies[0], "lookup_ok")
      assert.include(third.seen.replies[1], "node_not_found")
      assert.strictEqual(server.statistics(0).totalNodes, 1)
    }).pipe(Effect.provide(services))
  })

  it.effect("closes a connection five minutes after its last whole frame (rendezvous §2.1)", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      yield* spawn()
      const [idle, dripping, busy] = [connect(), connect(), connect()]
      bench.deliver(idle.opened, dripping.opened, busy.opened)
      for (let minute = 0; minute < 5; minute++) {
        bench.deliver({ _tag: "Received", connection: dripping.connection, bytes: Uint8Array.of(minute === 3 ? 9 : 0) })
        bench.deliver(busy.received(lookup))
        yield* TestClock.adjust("1 minute")
      }
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(idle.seen.isDestroyed)
      assert.isTrue(dripping.seen.isDestroyed)
      assert.isFalse(busy.seen.isDestroyed)
    }).pipe(Effect.provide(services))
  })

  it.effect("answers no more requests of a client that does not read, and drops it after a while", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      yield* spawn()
      const client = connect()
      bench.deliver(client.opened)
      yield* settle
      client.seen.buffered = 1 << 20
      bench.deliver(client.received(lookup))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(client.seen.replies, [])
      assert.isTrue(client.seen.isPaused)

      client.seen.buffered = 0
      yield* TestClock.adjust("1 second")
      assert.lengthOf(client.seen.replies, 1)

      client.seen.buffered = 1 << 20
      bench.deliver(client.received(lookup))
      yield* TestClock.adjust("40 seconds")
      assert.isTrue(client.seen.isDestroyed)
    }).pipe(Effect.provide(services))
  })

  it.effect("closes a connection whose bytes are no requests, at the latest seconds after it stops reading", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      const server = yield* spawn()
      const [quick, slow] = [connect(), connect()]
      bench.deliver(quick.opened, slow.opened)
      slow.seen.buffered = 1000
      for (const { connection, received } of [quick, slow]) {
        bench.deliver(received(lookup), { _tag: "Received", connection, bytes: new Uint8Array(8).fill(0xff) })
      }
      yield* settle

      for (const { seen } of [quick, slow]) {
        assert.deepStrictEqual([seen.replies.length, seen.isEnded, seen.isDestroyed], [1, true, false])
      }
      // As the socket says when it has closed; the other one cannot, with an answer that is not taken.
      bench.deliver({ _tag: "Closed", connection: quick.connection })
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual([quick.seen.isDestroyed, slow.seen.isDestroyed], [false, true])
      assert.deepStrictEqual(server.metrics.malformed, { FrameTooLong: 2, NotAnObject: 0 })
    }).pipe(Effect.provide(services))
  })

  it.effect("tells the operator why connections were closed, and from where, once a minute", () => {
    const { bench, services } = makeBench()
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(JSON.stringify(message)))
    return Effect.gen(function* () {
      yield* spawn()
      const send = (host: string, bytes: Uint8Array) => {
        const { connection, opened } = connect(host)
        bench.deliver(opened, { _tag: "Received", connection, bytes })
        return settle
      }
      yield* send("192.0.2.1", new Uint8Array(8).fill(0xff))
      yield* send("192.0.2.2", new Uint8Array(8).fill(0xff))
      yield* send("192.0.2.3", Uint8Array.of(0, 0, 0, 1, 0x5b))
      assert.lengthOf(lines, 1)
      yield* TestClock.adjust("2 minutes")

      assert.deepStrictEqual(lines, [
        '["registry: closed connections that sent no requests",{"FrameTooLong":1,"NotAnObject":0,"last":"192.0.2.1"}]',
        '["registry: closed connections that sent no requests",{"FrameTooLong":1,"NotAnObject":1,"last":"192.0.2.3"}]'
      ])
    }).pipe(Effect.provide(Layer.merge(services, Logger.layer([logger]))))
  })

  it.effect("slows a source down to its budget, whatever number of connections it opens", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      yield* spawn({ requests: { capacity: 3, perSecond: 1 } })
      const [a, b, other] = [connect(), connect(), connect("192.0.2.99")]
      bench.deliver(a.opened, b.opened, other.opened)
      bench.deliver(a.received(lookup, lookup), b.received(lookup, lookup), other.received(lookup))
      yield* settle
      assert.strictEqual(a.seen.replies.length + b.seen.replies.length, 3)
      assert.lengthOf(other.seen.replies, 1)
      assert.isTrue(b.seen.isPaused)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(a.seen.replies.length + b.seen.replies.length, 4)
      assert.isFalse(b.seen.isPaused)
    }).pipe(Effect.provide(services))
  })

  it.effect("forgets nodes that fell silent, and stores that (rendezvous §3.1)", () => {
    const { bench, services } = makeBench()
    return Effect.gen(function* () {
      const server = yield* spawn()
      const client = connect()
      bench.deliver(client.opened, client.received(register(1)))
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(server.statistics(0).totalNodes, 1)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(server.statistics(0).totalNodes, 0)
      assert.strictEqual(bench.commits, 2)
    }).pipe(Effect.provide(services))
  })
})
