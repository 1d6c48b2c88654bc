import { assert, describe, it } from "@effect/vitest"
import type { ProtocolEvent } from "../../../src/protocol/ProtocolEvent.ts"
import * as WebhookEvent from "../../../src/protocol/webhook/WebhookEvent.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

const A = Address.make(0, 1)
const port = Address.Port

/** The event of ours behind each body of the reference. */
const EVENTS: Readonly<Record<string, ProtocolEvent>> = {
  "node.registered": { _tag: "NodeRegistered", address: A, endpoint: { host: "127.0.0.1", port: 36455 } },
  "tunnel.established": { _tag: "PeerEstablished", peer: A.node, path: "direct", scheme: "L" },
  "conn.syn_received": {
    ...{ _tag: "SynReceived", connection: 1, peer: A, port: port(7), remotePort: port(49152) }
  },
  "conn.established": {
    ...{ _tag: "ConnectionOpened", connection: 1, peer: A, port: port(7), direction: "accepted" },
    ...{ localPort: port(7), remotePort: port(49152) }
  },
  "conn.fin": {
    ...{ _tag: "ConnectionClosed", connection: 1, peer: A, reset: false, bytesSent: 0, bytesReceived: 0 },
    ...{ localPort: port(7), remotePort: port(49152) }
  },
  "conn.rst": {
    ...{
      _tag: "ConnectionClosed",
      connection: 11,
      peer: Address.make(0, 2),
      reset: true,
      bytesSent: 0,
      bytesReceived: 0
    },
    ...{ localPort: port(49162), remotePort: port(1000) }
  },
  "message.received": { _tag: "MessageReceived", peer: A, kind: "TEXT", sizeBytes: 10 },
  "file.received": {
    ...{ _tag: "FileReceived", peer: A, name: "note.txt", sizeBytes: 10 },
    path: "<HOME>/.pilot/received/note-20261120-174601.833.txt"
  },
  "pubsub.subscribed": { _tag: "EventSubscribed", topic: "news", remote: "0:0000.0000.0001:49171" },
  "pubsub.published": { _tag: "EventPublished", topic: "news", sizeBytes: 5, from: "0:0000.0000.0001:49174" },
  "pubsub.unsubscribed": { _tag: "EventUnsubscribed", topic: "news", remote: "0:0000.0000.0001:49174" },
  "node.deregistered": { _tag: "NodeDeregistered", address: A },
  "handshake.received": { _tag: "HandshakeReceived", peer: A.node, kind: "request", justification: "work together" },
  "handshake.pending": { _tag: "HandshakePending", peer: A.node, justification: "work together" },
  "handshake.approved": { _tag: "PeerTrusted", peer: A.node, mutual: false },
  "handshake.rejected": { _tag: "HandshakeRejected", peer: Address.NodeId(556), reason: "no" },
  "security.nonce_replay": { _tag: "PacketDropped", reason: "ReplayedNonce", peer: Address.NodeId(2), counter: 1 },
  "trust.revoked": { _tag: "TrustRevoked", peer: Address.NodeId(2), by: "here" }
}

describe("WebhookEvent", () => {
  for (const [name, body] of Object.entries(vectors.webhook.bodies).filter(([name]) => name in EVENTS))
    it(`vector ${name} (node §8)`, () => {
      const { node_id, timestamp } = JSON.parse(body)
      const event = WebhookEvent.of(EVENTS[name]!)

      assert.isDefined(event)
      // The recording has a placeholder for the home directory, which is no path.
      const recorded = body.replace("<HOME>", "\\u003cHOME\\u003e")
      assert.strictEqual(WebhookEvent.body(event, node_id, timestamp), recorded)
    })

  it("tells a stream that was given up from one that was reset, who knocks too often, and what was full (node §8)", () => {
    const timedOut = WebhookEvent.of({ ...EVENTS["conn.rst"]!, timedOut: true } as ProtocolEvent)
    const source = { address: A, port: port(5) }
    const limited = WebhookEvent.of({ _tag: "PacketDropped", reason: "RateLimited", peer: A.node, source })
    const full = WebhookEvent.of({ _tag: "StoreFull", store: "inbox", peer: A, sizeBytes: 9 })

    assert.strictEqual(timedOut?.event, "conn.idle_timeout")
    assert.deepStrictEqual(limited, {
      event: "security.syn_rate_limited",
      data: { src_addr: "0:0000.0000.0001", src_port: 5 }
    })
    assert.deepStrictEqual(full, { event: "inbox.full", data: { from: "0:0000.0000.0001", size: 9 } })
  })

  it("tells of incoming streams only, as the reference does, and of nothing that is not told", () => {
    const opened = EVENTS["conn.established"]!
    assert.isUndefined(WebhookEvent.of({ ...opened, direction: "dialled" } as ProtocolEvent))
    assert.isUndefined(WebhookEvent.of({ _tag: "PacketDropped", reason: "Malformed" }))
    assert.isUndefined(WebhookEvent.of({ _tag: "EventUnsubscribed", topic: "", remote: "x" }))
  })
})
