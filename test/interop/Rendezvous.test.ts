import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"
import * as RegistryClientActor from "../../src/actors/registry/RegistryClientActor.ts"
import type { RegistrySecurity } from "../../src/actors/registry/RegistryPins.ts"
import * as RegistryPins from "../../src/actors/registry/RegistryPins.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as NodeTlsClient from "../../src/core/net/NodeTlsClient.ts"
import type { TlsClient } from "../../src/core/net/TlsClient.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"
import * as RawRegistry from "../support/RawRegistry.ts"
import vectors from "../vectors/rendezvous.json" with { type: "json" }

const configOf = (members: Readonly<Record<string, string>> = {}) =>
  Schema.decodeSync(RendezvousConfig)({ registryAddr: "127.0.0.1:0", beaconAddr: "127.0.0.1:0", ...members })

const client = (port: number, security: RegistrySecurity, seed = 1) =>
  RegistryClientActor.make({
    host: "127.0.0.1",
    port,
    security,
    key: NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(seed))
  })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "rendezvous-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const listen = (serve: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer(serve)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const run = <A, E>(effect: Effect.Effect<A, E, TlsClient | Scope.Scope>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeTlsClient.layer))

describe("Rendezvous, TLS and plain text on one port", () => {
  it.live("serves a pinned client, whatever the spelling of the pin (security rule 4)", () =>
    run(
      Effect.gen(function* () {
        const { fingerprint, registry } = yield* RendezvousLayer.start(configOf())
        const spelled = fingerprint.toUpperCase().replace(/..(?=.)/g, "$&:")
        const ours = yield* client(registry.port, { _tag: "Pinned", fingerprint: spelled })

        assert.deepStrictEqual((yield* ours.register({ listenAddress: ":4000" })).node, NodeId(1))
        yield* ours.setHostname("alpha")
        assert.strictEqual((yield* ours.resolveHostname("alpha")).node, NodeId(1))
        assert.deepStrictEqual(yield* ours.resolve(NodeId(1)), { host: "127.0.0.1", port: 4000 })
        assert.isAbove((yield* ours.heartbeat).timeSeconds, 0)
      })
    )
  )

  it.live("serves a plain client on the same port, for registries and nodes of the reference", () =>
    run(
      Effect.gen(function* () {
        const { registry } = yield* RendezvousLayer.start(configOf())
        const ours = yield* client(registry.port, { _tag: "Plaintext" })
        assert.strictEqual((yield* ours.register({ listenAddress: ":4000" })).node, NodeId(1))
      })
    )
  )

  it.live("sends nothing to a server with another certificate, and shows both fingerprints", () =>
    run(
      Effect.gen(function* () {
        const { fingerprint, registry } = yield* RendezvousLayer.start(configOf())
        const pin = "ab".repeat(32)
        const ours = yield* client(registry.port, { _tag: "Pinned", fingerprint: pin })

        const error = yield* Effect.flip(ours.register({ listenAddress: ":4000" }))
        assert.strictEqual(error.reason, "PinMismatch")
        assert.include(error.detail, pin)
        assert.include(error.detail, fingerprint)

        const plain = yield* RawRegistry.open(registry.port)
        const lookup = Json.parseObject(yield* plain.ask('{"type":"lookup","node_id":1}'))
        assert.strictEqual(lookup?.["code"], "node_not_found")
      })
    )
  )

  it.live("remembers the first certificate, and refuses another one later", () =>
    run(
      Effect.gen(function* () {
        const pins = yield* RegistryPins.memory
        const { fingerprint, registry } = yield* RendezvousLayer.start(configOf())
        const security: RegistrySecurity = { _tag: "FirstUse", pins }
        yield* (yield* client(registry.port, security)).register({ listenAddress: ":4000" })
        assert.strictEqual(yield* pins.read(`127.0.0.1:${registry.port}`), fingerprint)

        yield* pins.write(`127.0.0.1:${registry.port}`, "00".repeat(32))
        const error = yield* Effect.flip((yield* client(registry.port, security)).register({ listenAddress: ":4000" }))
        assert.strictEqual(error.reason, "PinMismatch")
      })
    )
  )

  it.live("never falls back to plain text: a server that speaks no TLS is named as such", () =>
    run(
      Effect.gen(function* () {
        const servers = [
          yield* listen((socket) => void socket.on("data", () => socket.destroy()).on("error", () => {})),
          yield* listen(
            (socket) => void socket.on("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")).on("error", () => {})
          )
        ]
        for (const server of servers) {
          const ours = yield* client(portOf(server), { _tag: "Pinned", fingerprint: "ab".repeat(32) })
          const error = yield* Effect.flip(ours.register({ listenAddress: ":4000" }))
          assert.strictEqual(error.reason, "NoTls")
        }
      })
    )
  )

  it.live("says at once when nothing listens", () =>
    run(
      Effect.gen(function* () {
        const ours = yield* client(1, { _tag: "Pinned", fingerprint: "ab".repeat(32) })
        assert.strictEqual((yield* Effect.flip(ours.register({ listenAddress: ":1" }))).reason, "Unavailable")
      })
    )
  )

  it.live("reconnects to a registry that came back, and still knows its node id", () =>
    run(
      Effect.gen(function* () {
        const path = yield* folder
        const members = { store: join(path, "registry.db") }
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const running = yield* RendezvousLayer.start(configOf(members))
            const ours = yield* client(running.registry.port, { _tag: "Pinned", fingerprint: running.fingerprint })
            yield* ours.register({ listenAddress: ":4000" })
            return running
          })
        )
        const ours = yield* client(first.registry.port, { _tag: "Pinned", fingerprint: first.fingerprint })
        const again = { ...members, registryAddr: `127.0.0.1:${first.registry.port}` }
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* RendezvousLayer.start(configOf(again))
            yield* ours.register({ listenAddress: ":4000" })
          })
        )
        yield* RendezvousLayer.start(configOf(again))
        assert.isAbove((yield* ours.heartbeat).timeSeconds, 0)
      })
    )
  )
})

describe("Rendezvous, storage", () => {
  it.live("keeps the certificate and its pin, readable by the owner alone", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = join(path, "registry.db")
      const { fingerprint } = yield* Effect.scoped(RendezvousLayer.start(configOf({ store })))
      const again = yield* Effect.scoped(RendezvousLayer.start(configOf({ store })))
      assert.strictEqual(again.fingerprint, fingerprint)
      assert.strictEqual(statSync(`${store}.tls.pem`).mode & 0o777, 0o600)
      assert.strictEqual(statSync(store).mode & 0o777, 0o600)

      writeFileSync(`${store}.tls.pem`, "damaged")
      const error = yield* Effect.flip(Effect.scoped(RendezvousLayer.start(configOf({ store }))))
      assert.strictEqual(error._tag, "CertificateError")
      assert.strictEqual(readFileSync(`${store}.tls.pem`, "utf8"), "damaged")
    }).pipe(Effect.scoped)
  )

  it.live("names a port in use", () =>
    Effect.gen(function* () {
      const { beacon, registry } = yield* RendezvousLayer.start(configOf())
      const registryAddr = `127.0.0.1:${registry.port}`
      const beaconAddr = `127.0.0.1:${beacon.port}`
      for (const members of [{ registryAddr }, { beaconAddr }]) {
        const error = yield* Effect.flip(Effect.scoped(RendezvousLayer.start(configOf(members))))
        assert.deepInclude(error, { _tag: "BindError", reason: "PortInUse" })
      }
    }).pipe(Effect.scoped)
  )

  const startProcess = (store: string) =>
    Effect.acquireRelease(
      Effect.callback<{ readonly child: ChildProcess; readonly port: number; readonly fingerprint: string }>(
        (resume) => {
          const child = spawn(process.execPath, [join(import.meta.dirname, "../support/RendezvousProcess.ts"), store], {
            stdio: ["ignore", "pipe", "inherit"]
          })
          child.stdout.once("data", (line: Buffer) => {
            resume(Effect.succeed({ child, ...JSON.parse(line.toString()) }))
          })
        }
      ),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    )

  it.live("has everything it acknowledged after being killed in the middle of it", () =>
    Effect.gen(function* () {
      const store = join(yield* folder, "registry.db")
      const { child, port, fingerprint } = yield* startProcess(store)
      const connection = yield* RawRegistry.open(port)
      const key = (index: number) =>
        Buffer.alloc(32, 0)
          .fill(index, 0, 1)
          .fill(index >> 8, 1, 2)
          .toString("base64")
      const register = (index: number) =>
        JSON.stringify({
          type: "register",
          public_key: key(index),
          listen_addr: `:${index + 1}`,
          hostname: `n${index}`
        })
      // One new source would be limited to ten new keys, so later ones come from other addresses.
      const acknowledged: Array<number> = []
      for (let index = 0; index < 60; index++) {
        const from = yield* RawRegistry.open(port, `127.0.1.${1 + Math.floor(index / 10)}`)
        if (index === 50) {
          for (let more = 50; more < 60; more++) from.send(RawRegistry.frame(register(more)))
          acknowledged.push(Json.integer(Json.parseObject(yield* from.next) ?? {}, "node_id"))
          child.kill("SIGKILL")
          break
        }
        acknowledged.push(Json.integer(Json.parseObject(yield* from.ask(register(index))) ?? {}, "node_id"))
      }
      assert.strictEqual(yield* connection.next, "closed")

      const again = yield* startProcess(store)
      assert.strictEqual(again.fingerprint, fingerprint)
      const reader = yield* RawRegistry.open(again.port)
      for (const [index, id] of acknowledged.entries()) {
        const found = Json.parseObject(yield* reader.ask(JSON.stringify({ type: "lookup", node_id: id })))
        assert.deepInclude(found, { public_key: key(index), hostname: `n${index}` })
      }
    }).pipe(Effect.scoped)
  )
})

describe("Rendezvous, bad input", () => {
  it.live("outlives garbage at its port: random bytes, half frames, wrong lengths, broken TLS", () =>
    Effect.gen(function* () {
      const { registry } = yield* RendezvousLayer.start(configOf())
      const honest = yield* RawRegistry.open(registry.port)
      let state = 1
      const random = (size: number) =>
        Uint8Array.from({ length: size }, () => {
          state = Math.imul(state, 1103515245) + 12345
          return (state >>> 16) & 0xff
        })
      const garbage = [
        ...Array.from({ length: 50 }, (_, index) => random(1 + index * 7)),
        Uint8Array.of(0x16, ...random(300)),
        Uint8Array.of(0x16, 0x03, 0x01, 0xff, 0xff, ...random(3000)),
        Uint8Array.of(0xff, 0xff, 0xff, 0xff),
        Uint8Array.of(0x00, 0x10, 0x00, 0x01),
        Uint8Array.of(0, 0, 0, 0),
        Uint8Array.of(0, 0),
        Uint8Array.of(0, 0, 0, 9, 0x7b),
        RawRegistry.frame(`{"type":${"[".repeat(100_000)}`),
        RawRegistry.frame('{"type":"__proto__","constructor":{"prototype":{}}}')
      ]
      for (const bytes of garbage) (yield* RawRegistry.open(registry.port)).send(bytes)
      const unfinished = yield* RawRegistry.open(registry.port)
      unfinished.send(RawRegistry.frame('{"type":"lookup"}').subarray(0, 10))

      for (let count = 0; count < 20; count++) {
        const reply = Json.parseObject(yield* honest.ask('{"type":"lookup","node_id":1}'))
        assert.strictEqual(reply?.["code"], "node_not_found")
      }
      unfinished.send(RawRegistry.frame('{"type":"lookup"}').subarray(10))
      assert.include(yield* unfinished.next, "node_not_found")
    }).pipe(Effect.scoped)
  )

  it.live("answers thousands of pipelined requests in order, and the last ones before it closes", () =>
    Effect.gen(function* () {
      const { registry } = yield* RendezvousLayer.start(configOf())
      const connection = yield* RawRegistry.open(registry.port)
      const count = 5000
      for (let index = 0; index < count; index++) {
        connection.send(RawRegistry.frame(`{"type":"resolve_hostname","hostname":"n${index}"}`))
      }
      connection.send(RawRegistry.frame("not JSON"))
      for (let index = 0; index < count; index++) assert.include(yield* connection.next, `\\"n${index}\\" not found`)
      assert.strictEqual(yield* connection.next, "closed")
    }).pipe(Effect.scoped)
  )
})

describe("Rendezvous, status over HTTP", () => {
  const fetched = (port: number, path: string, headers: Record<string, string> = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
      return { status: response.status, headers: response.headers, body: await response.text() }
    })

  it.live("answers the paths of the reference with its types and headers (rendezvous §6)", () =>
    Effect.gen(function* () {
      const { http } = yield* RendezvousLayer.start(configOf({ http: "127.0.0.1:0" }))
      for (const vector of vectors.http) {
        // A header must not decide who is local; the socket does (rendezvous §6, better).
        if (vector.status === 403) continue
        const { headers, status } = yield* fetched(http?.port ?? 0, vector.path)
        assert.strictEqual(status, vector.status, vector.path)
        for (const [name, value] of Object.entries(vector.headers)) {
          assert.strictEqual(headers.get(name), value, `${vector.path} ${name}`)
        }
      }
      assert.strictEqual((yield* fetched(http?.port ?? 0, "/healthz")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("shows statistics in the reference's order, and badges of its size", () =>
    Effect.gen(function* () {
      const { http, registry } = yield* RendezvousLayer.start(
        configOf({ http: "127.0.0.1:0", compatUnsignedRegister: "true" })
      )
      const connection = yield* RawRegistry.open(registry.port)
      const key = vectors.keys.alice.public_b64
      yield* connection.ask(JSON.stringify({ type: "register", public_key: key, listen_addr: ":4000" }))
      const stats = Json.parseObject((yield* fetched(http?.port ?? 0, "/api/stats")).body)
      const reference = vectors.http.find(({ path }) => path === "/api/stats")
      assert.deepStrictEqual(Object.keys(stats ?? {}), Object.keys(Json.parseObject(reference?.body ?? "") ?? {}))
      assert.deepInclude(stats, { total_nodes: 1, active_nodes: 1, total_requests: 1 })
      assert.notInclude(JSON.stringify(stats), "127.0.0.1")

      const badge = (yield* fetched(http?.port ?? 0, "/api/badge/nodes")).body
      assert.include(badge, 'width="104" height="20"')
      assert.include(badge, "online nodes: 1")
      const metrics = (yield* fetched(http?.port ?? 0, "/metrics")).body
      assert.include(metrics, 'pilot_requests_total{type="register"} 1')
      assert.include(metrics, 'pilot_request_duration_seconds_bucket{type="register",le="+Inf"} 1')
    }).pipe(Effect.scoped)
  )

  it.live("shows metrics to this machine only, and not to a web page that found a name for it", () =>
    Effect.gen(function* () {
      const { http } = yield* RendezvousLayer.start(configOf({ http: "127.0.0.1:0" }))
      const raw = yield* Effect.callback<string>((resume) => {
        const { request } = process.getBuiltinModule("node:http")
        const options = { port: http?.port, host: "127.0.0.1", path: "/metrics", headers: { host: "evil.example" } }
        request(options, (response) => resume(Effect.succeed(`${response.statusCode}`))).end()
      })
      assert.strictEqual(raw, "403")
      const spoofed = yield* fetched(http?.port ?? 0, "/metrics", { "X-Real-IP": "203.0.113.5" })
      assert.strictEqual(spoofed.status, 200)
    }).pipe(Effect.scoped)
  )
})
