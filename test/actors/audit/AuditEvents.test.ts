import { assert, describe, it } from "@effect/vitest"
import * as AuditEvents from "../../../src/actors/audit/AuditEvents.ts"
import * as AuditLine from "../../../src/protocol/audit/AuditLine.ts"
import type { ProtocolEvent } from "../../../src/protocol/ProtocolEvent.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const PEER = NodeId(5)
/** Whatever decides who is trusted, and under which key. */
const OF_TRUST: ReadonlyArray<readonly [ProtocolEvent, AuditLine.Entry]> = [
  [
    { _tag: "AdmissionChanged", change: "invitation.redeemed", subject: "a1", peer: PEER },
    { kind: "invitation.redeemed", node: PEER, facts: { subject: "a1" } }
  ],
  [
    { _tag: "AdmissionChanged", change: "network.joined", subject: "fleet" },
    { kind: "network.joined", node: undefined, facts: { subject: "fleet" } }
  ],
  [
    { _tag: "KeyAnnounced", peer: PEER, key: "4HX2", fromSeconds: 9 },
    { kind: "key.announced", node: PEER, facts: { fingerprint: "4HX2", from: 9 } }
  ],
  [
    { _tag: "KeyCancelled", peer: PEER, key: "4HX2" },
    { kind: "key.cancelled", node: PEER, facts: { fingerprint: "4HX2" } }
  ],
  [
    { _tag: "KeyMoved", peer: PEER, from: "4HX2", to: "9KQ1" },
    { kind: "key.moved", node: PEER, facts: { from: "4HX2", to: "9KQ1" } }
  ],
  [
    { _tag: "KeyAccepted", peer: PEER, from: "4HX2", to: "9KQ1" },
    { kind: "key.accepted", node: PEER, facts: { from: "4HX2", to: "9KQ1" } }
  ],
  [
    { _tag: "KeyForked", peer: PEER, keys: "4HX2, 9KQ1" },
    { kind: "key.forked", node: PEER, facts: { fingerprints: "4HX2, 9KQ1" } }
  ],
  [
    { _tag: "RecoveryKeyEnrolled", peer: PEER, key: "4HX2", fromSeconds: 9 },
    { kind: "key.recovery_enrolled", node: PEER, facts: { fingerprint: "4HX2", from: 9 } }
  ],
  [
    { _tag: "RecoveryKeyContested", peer: PEER },
    { kind: "key.recovery_contested", node: PEER }
  ],
  [
    { _tag: "OwnKeyContested", key: "4HX2" },
    { kind: "key.own_contested", facts: { fingerprint: "4HX2" } }
  ],
  [
    { _tag: "OwnKeyMoved", key: "9KQ1" },
    { kind: "key.moved", facts: { to: "9KQ1" } }
  ],
  [
    { _tag: "PeerTrusted", peer: PEER, mutual: true },
    { kind: "trust.added", node: PEER, facts: { mutual: true } }
  ]
]

describe("the audit log's view of events", () => {
  it("keeps whatever decides who is trusted, and under which key", () => {
    for (const [event, entry] of OF_TRUST) {
      assert.deepStrictEqual(AuditEvents.entryOf(event), entry)
      assert.include(AuditLine.KINDS, entry.kind)
    }
  })

  it("leaves out what only tells of paths and packets", () => {
    assert.isUndefined(AuditEvents.entryOf({ _tag: "PathChanged", peer: PEER, path: "relay", endpoint: undefined }))
    assert.isUndefined(AuditEvents.entryOf({ _tag: "PacketDropped", reason: "Malformed", peer: PEER }))
  })
})
