import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Admission from "../../../src/protocol/trust/Admission.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as InvitationClaim from "../../../src/protocol/trust/InvitationClaim.ts"
import * as InvitationTable from "../../../src/protocol/trust/InvitationTable.ts"
import * as ListedKeys from "../../../src/protocol/trust/ListedKeys.ts"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import { Input } from "../../../src/protocol/trust/TrustHandshake.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const NOW = 1_771_000_000
const hmac = NativeCrypto.crypto.hmacSha256
const key = (fill: number) => new Uint8Array(32).fill(fill)
const [OWN, PEER, THIEF] = [key(1), key(2), key(3)]
const SECRET = new Uint8Array(16).fill(5)
const fingerprintOf = (publicKey: Uint8Array) => Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))
const means: Admission.Means = { ownKey: OWN, hmac, fingerprintOf, verify: NativeCrypto.crypto.verify }

const entryOf = (secret: Uint8Array, changes: Partial<InvitationTable.Entry> = {}): InvitationTable.Entry => ({
  id: InvitationClaim.idOf(secret, hmac),
  key: InvitationClaim.keyOf(secret, hmac),
  createdAtSeconds: NOW,
  expiresAtSeconds: NOW + 3600,
  usesMax: 1,
  services: ["files"],
  boundTo: "",
  note: "",
  revokedAtSeconds: undefined,
  redemptions: [],
  ...changes
})
const ENTRY = entryOf(SECRET)
const admitting = (entry: InvitationTable.Entry): Admission.Admission => ({
  ...Admission.empty,
  invitations: new Map([[entry.id, entry]])
})
const claimText = (redeemer: Uint8Array, secret = SECRET, inviter = OWN) =>
  InvitationClaim.format(InvitationClaim.make(secret, inviter, redeemer, hmac), "please")
const asks = (publicKey: Uint8Array, justification: string, confirmed = true) =>
  Input.RequestReceived({ publicKey, justification, confirmed })
const judge = (
  admission: Admission.Admission,
  input: Input,
  { node = 7, relation = Relation.none, nowSeconds = NOW } = {}
) => Admission.judge(admission, NodeId(node), input, relation, means, nowSeconds)
const trustedUnder = (publicKey: Uint8Array): Relation.Relation => ({
  ...Relation.none,
  trusted: {
    publicKey,
    approvedAtSeconds: NOW,
    mutual: true,
    network: 0,
    acceptDue: false,
    reported: true,
    servicesDue: []
  }
})

describe("Admission", () => {
  it("lets in whoever proves an invitation, once, with what it opens; its proof is not shown to anybody", () => {
    const { admission, input } = judge(admitting(ENTRY), asks(PEER, claimText(PEER)))

    assert.deepStrictEqual(
      input,
      Input.RequestGranted({ publicKey: PEER, justification: "please", isRelayed: false, services: ["files"] })
    )
    assert.deepStrictEqual(admission.invitations.get(ENTRY.id)?.redemptions, [
      { node: NodeId(7), publicKey: PEER, atSeconds: NOW }
    ])
    const second = judge(admission, asks(THIEF, claimText(THIEF)))
    assert.deepInclude(second.input, { _tag: "RequestBarred", reason: "the invitation is used up" })
    assert.strictEqual(second.admission, admission)
  })

  it("the same by relay, since the proof says whose key it is whatever the registry says", () => {
    const relayed = Input.RequestRelayed({ publicKey: PEER, justification: claimText(PEER) })

    assert.deepInclude(judge(admitting(ENTRY), relayed).input, { _tag: "RequestGranted", isRelayed: true })
    const lied = Input.RequestRelayed({ publicKey: THIEF, justification: claimText(PEER) })
    const { admission, input } = judge(admitting(ENTRY), lied)
    assert.deepInclude(input, { _tag: "RequestRelayed", publicKey: THIEF })
    assert.deepStrictEqual(admission.invitations.get(ENTRY.id)?.redemptions, [])
  })

  it("a proof that was read on its way is worth nothing under another key: a person decides", () => {
    const { input } = judge(admitting(ENTRY), asks(THIEF, claimText(PEER)))

    assert.deepStrictEqual(input, asks(THIEF, "(with an invitation whose proof is wrong) please"))
  })

  it("a proof for another inviter, with another secret or for an unknown invitation lets nobody in", () => {
    const wrong = [claimText(PEER, SECRET, key(9)), claimText(PEER, new Uint8Array(16).fill(6))]
    for (const text of wrong) {
      const { admission, input } = judge(admitting(ENTRY), asks(PEER, text))
      assert.strictEqual(input._tag, "RequestReceived")
      assert.strictEqual(admission.invitations.get(ENTRY.id), ENTRY)
    }
    assert.deepStrictEqual(
      judge(Admission.empty, asks(PEER, claimText(PEER))).input,
      asks(PEER, "(with an invitation that this node does not know) please")
    )
  })

  it("an invitation that has expired or was revoked bars its holder with the reason, and only its holder", () => {
    const revoked = admitting({ ...ENTRY, revokedAtSeconds: NOW })
    const late = { nowSeconds: NOW + 3600 }

    assert.deepInclude(judge(revoked, asks(PEER, claimText(PEER))).input, { reason: "the invitation was revoked" })
    assert.deepInclude(judge(admitting(ENTRY), asks(PEER, claimText(PEER)), late).input, {
      reason: "the invitation has expired"
    })
    assert.strictEqual(judge(revoked, asks(THIEF, claimText(PEER))).input._tag, "RequestReceived")
  })

  it("an invitation for one key lets no other in, though it was stolen whole", () => {
    const bound = admitting(entryOf(SECRET, { boundTo: fingerprintOf(PEER) }))

    assert.deepInclude(judge(bound, asks(THIEF, claimText(THIEF))).input, {
      _tag: "RequestBarred",
      reason: "the invitation is for another key"
    })
    assert.strictEqual(judge(bound, asks(PEER, claimText(PEER))).input._tag, "RequestGranted")
  })

  it("a key comes in once per invitation, so that ended trust does not come back with it", () => {
    const many = admitting(entryOf(SECRET, { usesMax: 5 }))
    const first = judge(many, asks(PEER, claimText(PEER))).admission

    assert.deepInclude(judge(first, asks(PEER, claimText(PEER))).input, { _tag: "RequestBarred" })
    assert.deepInclude(judge(first, asks(THIEF, claimText(THIEF))).input, { _tag: "RequestGranted" })
  })

  it("repeating is no offence while the trust stands: the accept may have been lost", () => {
    const first = judge(admitting(ENTRY), asks(PEER, claimText(PEER))).admission
    const again = judge(first, asks(PEER, claimText(PEER)), { relation: trustedUnder(PEER) })

    assert.deepStrictEqual(again.input, asks(PEER, "please"))
  })

  it("a key that nobody could confirm waits for a person, and nothing is used up", () => {
    const { admission, input } = judge(admitting(ENTRY), asks(PEER, claimText(PEER), false))

    assert.deepInclude(input, { _tag: "RequestReceived", confirmed: false })
    assert.strictEqual(admission.invitations.get(ENTRY.id), ENTRY)
    const nameless = Input.RequestRelayed({ publicKey: Bytes.empty, justification: claimText(PEER) })
    assert.strictEqual(judge(admitting(ENTRY), nameless).input._tag, "RequestRelayed")
  })

  it("a listed key comes in when it is confirmed; others wait", () => {
    const listed = ListedKeys.add(ListedKeys.empty, {
      fingerprint: fingerprintOf(PEER),
      note: "",
      listedAtSeconds: NOW
    })
    const admission = { ...Admission.empty, listedKeys: Result.getOrThrow(listed) }

    assert.deepInclude(judge(admission, asks(PEER, "hi")).input, { _tag: "RequestGranted", services: [] })
    assert.strictEqual(judge(admission, asks(PEER, "hi", false)).input._tag, "RequestReceived")
    assert.strictEqual(judge(admission, asks(THIEF, "hi")).input._tag, "RequestReceived")
    const struck = { ...admission, listedKeys: ListedKeys.remove(admission.listedKeys, fingerprintOf(PEER)) }
    assert.strictEqual(judge(struck, asks(PEER, "hi")).input._tag, "RequestReceived")
  })

  it("passes every other input as it is", () => {
    const accept = Input.AcceptReceived({ publicKey: PEER })

    assert.deepStrictEqual(judge(admitting(ENTRY), accept), { admission: admitting(ENTRY), input: accept })
  })
})

describe("InvitationTable", () => {
  const Uses = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })))
  it.prop("never lets more keys in than it has uses, and none twice", { attempts: Uses }, ({ attempts }) => {
    let admission = admitting(entryOf(SECRET, { usesMax: 3 }))
    const came: Array<number> = []
    for (const fill of attempts) {
      const judged = judge(admission, asks(key(fill), claimText(key(fill))), { node: fill })
      admission = judged.admission
      if (judged.input._tag === "RequestGranted") came.push(fill)
    }

    assert.deepStrictEqual(came, [...new Set(attempts)].slice(0, 3))
  })

  it("is bounded: ended invitations make room, open ones never do", () => {
    const fill = (state: Partial<InvitationTable.Entry>, count: number) => {
      let table = InvitationTable.empty
      for (let index = 0; index < count; index++) {
        const entry = { ...ENTRY, ...state, id: index.toString(16).padStart(16, "0") }
        table = Result.getOrThrow(InvitationTable.add(table, entry, NOW))
      }
      return table
    }
    const open = fill({}, InvitationTable.ENTRIES_MAX)
    assert.deepStrictEqual(InvitationTable.add(open, ENTRY, NOW), Result.fail("TooMany"))
    const ended = fill({ revokedAtSeconds: NOW }, InvitationTable.ENTRIES_MAX + 10)
    assert.strictEqual(ended.size, InvitationTable.ENTRIES_MAX)
    assert.isTrue(Result.isSuccess(InvitationTable.add(ended, ENTRY, NOW)))
  })

  it("forgets what ended a week ago", () => {
    const table = new Map([[ENTRY.id, ENTRY]])

    assert.strictEqual(InvitationTable.expire(table, NOW + 3600 + 604_799), table)
    assert.strictEqual(InvitationTable.expire(table, NOW + 3600 + 604_800).size, 0)
  })

  it("revokes what it knows, and what is revoked stays so", () => {
    const table = InvitationTable.revoke(new Map([[ENTRY.id, ENTRY]]), ENTRY.id, NOW)!

    assert.strictEqual(InvitationTable.stateOf(table.get(ENTRY.id)!, NOW), "revoked")
    assert.strictEqual(InvitationTable.revoke(table, ENTRY.id, NOW + 5), table)
    assert.isUndefined(InvitationTable.revoke(table, "0".repeat(16), NOW))
  })
})

describe("InvitationClaim", () => {
  it("carries a text beside the proof, and reads back both", () => {
    const claim = InvitationClaim.make(SECRET, OWN, PEER, hmac)

    assert.deepStrictEqual(InvitationClaim.parse(InvitationClaim.format(claim, "a b")), { claim, text: "a b" })
    assert.deepStrictEqual(InvitationClaim.parse(InvitationClaim.format(claim, "")), { claim, text: "" })
  })

  it("shows neither the secret nor the key that is kept", () => {
    const text = InvitationClaim.format(InvitationClaim.make(SECRET, OWN, PEER, hmac), "")
    const raw = Bytes.toHex(Bytes.fromUtf8(text))

    assert.notInclude(raw, Bytes.toHex(SECRET))
    assert.notInclude(text, Bytes.toHex(SECRET))
    assert.notStrictEqual(text.slice(19, 35), Bytes.toHex(InvitationClaim.keyOf(SECRET, hmac)).slice(0, 16))
  })

  it("takes nothing else for a claim", () => {
    const text = InvitationClaim.format(InvitationClaim.make(SECRET, OWN, PEER, hmac), "")
    for (const wrong of ["", "hello", ` ${text}`, text.slice(0, -1), `${text}x`, text.replace(":1:", ":2:")])
      assert.isUndefined(InvitationClaim.parse(wrong), wrong)
  })
})
