/** The rendezvous's WebSockets over real sockets: TLS, proxies, limits. */
import { writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Queue, Schema } from "effect"
import { WebSocket } from "ws"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"
import * as RegistryClientActor from "../../src/actors/registry/RegistryClientActor.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as NodeTlsClient from "../../src/core/net/NodeTlsClient.ts"
import * as NodeWebSocketClient from "../../src/core/net/NodeWebSocketClient.ts"
import type { WebSocketTarget } from "../../src/core/net/WebSocketClient.ts"
import type { WebSocketMessage, WebSocketPeer } from "../../src/core/net/WebSocketPeer.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import * as CompatMessage from "../../src/protocol/wire/CompatMessage.ts"
import * as ConnectProxy from "../support/ConnectProxy.ts"
import * as PilotProcesses from "../support/PilotProcesses.ts"

const key = (seed: number) => NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(seed))
const LIMITS = { timeoutMs: 5_000, messageBytesMax: CompatMessage.MESSAGE_BYTES_MAX }

const rendezvous = Effect.map(
  RendezvousLayer.start(
    Schema.decodeSync(RendezvousConfig)({
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      wssAddr: "127.0.0.1:0",
      wssProxies: "127.0.0.0/8"
    })
  ),
  (running) => ({ ...running, base: `wss://127.0.0.1:${running.wss?.port}` })
)

const targetOf = (
  { base, fingerprint }: { readonly base: string; readonly fingerprint: string },
  more: Partial<WebSocketTarget> = {}
): WebSocketTarget => ({
  url: `${base}${CompatMessage.PATH}`,
  protocol: CompatMessage.SUBPROTOCOL,
  fingerprint,
  proxy: "none",
  isGuess: false,
  ...more
})
const registryTarget = (at: { readonly base: string; readonly fingerprint: string }, proxy = "none") =>
  targetOf(at, {
    url: `${at.base}${CompatMessage.REGISTRY_PATH}`,
    protocol: CompatMessage.REGISTRY_SUBPROTOCOL,
    proxy
  })

/** The registry's own port leads nowhere. */
const client = (fingerprint: string, through: WebSocketTarget, seed: number) =>
  RegistryClientActor.make({
    host: "127.0.0.1",
    port: 1,
    security: { _tag: "Pinned", fingerprint },
    key: key(seed),
    through
  })

/** What comes by a WebSocket, one after the other; texts decoded by nobody. */
const inboxOf = (peer: WebSocketPeer) =>
  Effect.map(Queue.unbounded<WebSocketMessage>(), (queue) => {
    peer.onBatch((batch) => {
      for (const message of batch) Queue.offerUnsafe(queue, message)
    })
    return { take: Queue.take(queue) }
  })

const prove = Effect.fnUntraced(function* (target: WebSocketTarget, node: NodeId, seed: number, text?: string) {
  const peer = yield* NodeWebSocketClient.connect(target, LIMITS)
  const inbox = yield* inboxOf(peer)
  const challenge = JSON.parse(String(yield* inbox.take))
  const signature = key(seed).sign(
    Bytes.fromUtf8(text ?? CompatMessage.signedText(node, challenge.ts, challenge.nonce))
  )
  peer.send(
    CompatMessage.encode(CompatMessage.CompatMessage.Reply({ node, publicKey: key(seed).publicKey, signature }))
  )
  return { peer, inbox, challenge }
})

const closed = (peer: WebSocketPeer) =>
  Effect.callback<string>((resume) => peer.onClosed((detail) => resume(Effect.succeed(detail))))

describe("WebSockets of a rendezvous", () => {
  it.live(
    "carry the registry's TLS, pinned inside, and the beacon's datagrams of who proves his key, and of nobody else",
    () =>
      Effect.gen(function* () {
        const running = yield* rendezvous
        const ours = yield* client(running.fingerprint, registryTarget(running), 1)
        const others = yield* client(running.fingerprint, registryTarget(running), 2)
        assert.deepStrictEqual((yield* ours.register({ listenAddress: ":0" })).node, NodeId(1))
        yield* others.register({ listenAddress: ":0" })
        assert.deepStrictEqual(
          yield* others.resolve(NodeId(1)).pipe(
            Effect.flip,
            Effect.map(({ reason }) => reason)
          ),
          "Refused"
        )

        const anna = yield* prove(targetOf(running), NodeId(1), 1)
        assert.match(anna.challenge.nonce, /^[0-9a-f]{64}$/)
        assert.deepStrictEqual(JSON.parse(String(yield* anna.inbox.take)), { type: "auth_ok", moves: true })
        // It is announced by its proof.
        assert.strictEqual(Bytes.toHex((yield* anna.inbox.take) as Uint8Array), "02047f0000010000")
        const bert = yield* prove(targetOf(running), NodeId(2), 2)
        yield* bert.inbox.take
        yield* bert.inbox.take
        bert.peer.send(BeaconMessage.encodeRelay(NodeId(2), NodeId(1), Bytes.fromUtf8("PILS to anna")))
        assert.strictEqual(
          Bytes.toUtf8Lossy((yield* anna.inbox.take) as Uint8Array),
          "\u0006\u0000\u0000\u0000\u0002PILS to anna"
        )
        // Nobody speaks for another: the next thing anna hears is what bert says in his own name.
        bert.peer.send(BeaconMessage.encodeRelay(NodeId(1), NodeId(1), Bytes.fromUtf8("PILS forged")))
        bert.peer.send(BeaconMessage.encodeDiscover(NodeId(1)))
        bert.peer.send(BeaconMessage.encodeRelay(NodeId(2), NodeId(1), Bytes.fromUtf8("PILS again")))
        assert.include(Bytes.toUtf8Lossy((yield* anna.inbox.take) as Uint8Array), "PILS again")

        // A second proof takes the place of the first.
        const again = yield* prove(targetOf(running), NodeId(1), 1)
        yield* closed(anna.peer)
        yield* again.inbox.take

        for (const [node, seed, text] of [
          [1, 2, undefined],
          [9, 1, undefined],
          [1, 1, "compat_auth:1:0:0"]
        ] as const) {
          const { peer } = yield* prove(targetOf(running), NodeId(node), seed, text)
          yield* closed(peer)
        }
      }).pipe(Effect.scoped, Effect.provide(NodeTlsClient.layer))
  )

  it.live("refuse other paths and subprotocols, long messages, and certificates that nobody vouches for", () =>
    Effect.gen(function* () {
      const running = yield* rendezvous
      const reasonOf = (target: WebSocketTarget) =>
        Effect.scoped(NodeWebSocketClient.connect(target, LIMITS)).pipe(
          Effect.flip,
          Effect.map(({ detail, reason }) => `${reason}: ${detail}`)
        )
      assert.match(
        yield* reasonOf(targetOf(running, { url: `${running.base}/v2/compat` })),
        /^NotOffered: answered 404/
      )
      assert.match(yield* reasonOf(targetOf(running, { protocol: "chat" })), /^NotOffered: answered 400/)
      assert.match(yield* reasonOf(targetOf(running, { fingerprint: undefined })), /^Untrusted: /)
      assert.match(yield* reasonOf(targetOf(running, { fingerprint: "0".repeat(64) })), /^Untrusted: /)

      const peer = yield* NodeWebSocketClient.connect(targetOf(running), LIMITS)
      peer.send(new Uint8Array(CompatMessage.MESSAGE_BYTES_MAX + 1))
      assert.match(yield* closed(peer), /closed with code 1009|payload/i)

      // In clear, as from a reverse proxy, whose word on who comes counts.
      const plain = yield* Deferred.make<string>()
      const socket = new WebSocket(`${running.base.replace("wss", "ws")}${CompatMessage.PATH}`, ["pilot.v1"], {
        headers: { "x-forwarded-for": "203.0.113.9, 198.51.100.7" }
      })
      socket.once("message", (data) => Deferred.doneUnsafe(plain, Effect.succeed(String(data))))
      assert.include(yield* Deferred.await(plain), "auth_challenge")
      socket.terminate()
    }).pipe(Effect.scoped)
  )

  it.live("are reached through a proxy whose credentials change, read anew for each connection", () =>
    Effect.gen(function* () {
      const running = yield* rendezvous
      const proxy = yield* ConnectProxy.make("anna:first")
      const file = `${yield* PilotProcesses.directory}/proxy`
      const setting = (credentials: string) =>
        writeFileSync(file, `http://${credentials}@127.0.0.1:${proxy.port}\nis not read\n`)
      setting("anna:first")
      const ours = yield* client(running.fingerprint, registryTarget(running, `@${file}`), 1)
      yield* ours.register({ listenAddress: ":0" })
      assert.deepStrictEqual(proxy.opened, [`127.0.0.1:${running.wss?.port}`])

      proxy.credentials = "anna:second"
      proxy.cut()
      const refused = yield* Effect.flip(
        Effect.scoped(NodeWebSocketClient.connect(targetOf(running, { proxy: `@${file}` }), LIMITS))
      )
      assert.deepStrictEqual([refused.reason, proxy.refused > 0], ["Proxy", true])
      assert.match(refused.detail, /407.*through http:\/\/127\.0\.0\.1:\d+/)
      assert.notInclude(refused.detail, "first")
      setting("anna:second")
      yield* ours.heartbeat
      assert.strictEqual(proxy.opened.length, 2)
      const away = yield* Effect.flip(
        Effect.scoped(NodeWebSocketClient.connect(targetOf(running, { proxy: `@${file}.gone` }), LIMITS))
      )
      assert.strictEqual(away.reason, "Proxy")
    }).pipe(Effect.scoped, Effect.provide(NodeTlsClient.layer))
  )
})
