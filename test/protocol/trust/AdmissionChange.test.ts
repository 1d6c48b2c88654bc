import { assert, describe, it } from "@effect/vitest"
import * as Admission from "../../../src/protocol/trust/Admission.ts"
import * as AdmissionChange from "../../../src/protocol/trust/AdmissionChange.ts"
import type * as InvitationTable from "../../../src/protocol/trust/InvitationTable.ts"
import type * as NetworkTable from "../../../src/protocol/trust/NetworkTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const BYTES = new Uint8Array(32)
const INVITATION: InvitationTable.Entry = {
  ...{ id: "a1", key: BYTES, createdAtSeconds: 1, expiresAtSeconds: 100, usesMax: 3, services: [], boundTo: "" },
  ...{ note: "", revokedAtSeconds: undefined, redemptions: [] }
}
const MEMBERSHIP: NetworkTable.Membership = {
  token: {
    ...{ publicKey: BYTES, number: 7, name: "fleet", member: "4HX2", issuedAtSeconds: 1, expiresAtSeconds: 100 },
    signature: BYTES
  },
  revocations: undefined,
  barred: []
}
const REVOCATIONS = { publicKey: BYTES, number: 7, name: "fleet", serial: 1, revoked: [], signature: BYTES }

const invited = (...entries: ReadonlyArray<InvitationTable.Entry>): Admission.Admission => ({
  ...Admission.empty,
  invitations: new Map(entries.map((entry) => [entry.id, entry]))
})
const listing = (...fingerprints: ReadonlyArray<string>): Admission.Admission => ({
  ...Admission.empty,
  listedKeys: new Map(fingerprints.map((fingerprint) => [fingerprint, { fingerprint, note: "", listedAtSeconds: 1 }]))
})
const inside = (...memberships: ReadonlyArray<NetworkTable.Membership>): Admission.Admission => ({
  ...Admission.empty,
  networks: new Map(memberships.map((membership) => [membership.token.name, membership]))
})
const cameIn = (node: number) => ({ node: NodeId(node), publicKey: BYTES, atSeconds: 2 })
const CASES: ReadonlyArray<readonly [Admission.Admission, Admission.Admission, ReadonlyArray<unknown>]> = [
  [Admission.empty, invited(INVITATION), [{ change: "invitation.made", subject: "a1" }]],
  [
    invited({ ...INVITATION, redemptions: [cameIn(4)] }),
    invited({ ...INVITATION, redemptions: [cameIn(4), cameIn(5)] }),
    [{ change: "invitation.redeemed", subject: "a1", peer: 5 }]
  ],
  [
    invited(INVITATION),
    invited({ ...INVITATION, revokedAtSeconds: 3 }),
    [{ change: "invitation.revoked", subject: "a1" }]
  ],
  // What ended and is forgotten was told when it ended.
  [invited({ ...INVITATION, revokedAtSeconds: 3 }), Admission.empty, []],
  [
    listing("A", "B"),
    listing("B", "C"),
    [
      { change: "key.listed", subject: "C" },
      { change: "key.unlisted", subject: "A" }
    ]
  ],
  [Admission.empty, inside(MEMBERSHIP), [{ change: "network.joined", subject: "fleet" }]],
  [
    inside(MEMBERSHIP),
    inside({ ...MEMBERSHIP, token: { ...MEMBERSHIP.token, expiresAtSeconds: 200 } }),
    [{ change: "network.joined", subject: "fleet" }]
  ],
  [inside(MEMBERSHIP), Admission.empty, [{ change: "network.left", subject: "fleet" }]],
  [
    inside(MEMBERSHIP),
    inside({ ...MEMBERSHIP, revocations: REVOCATIONS }),
    [{ change: "network.revised", subject: "fleet" }]
  ],
  [inside(MEMBERSHIP), inside({ ...MEMBERSHIP, barred: ["4HX2"] }), []]
]

describe("changes of what is allowed beforehand", () => {
  it("each is told once, with whom it let in", () => {
    for (const [before, after, expected] of CASES) {
      assert.deepStrictEqual(AdmissionChange.between(before, after), expected)
      assert.deepStrictEqual(AdmissionChange.between(after, after), [])
    }
  })
})
