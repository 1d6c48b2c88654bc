import { assert, describe, it } from "@effect/vitest"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import * as Revocation from "../../../src/protocol/trust/Revocation.ts"
import { Input, step } from "../../../src/protocol/trust/TrustHandshake.ts"
import * as TrustTable from "../../../src/protocol/trust/TrustTable.ts"

const NOW = 1_771_000_000
const [PEER, OTHER] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
const trusted: Relation.Relation = {
  ...Relation.none,
  trusted: {
    publicKey: PEER,
    approvedAtSeconds: NOW,
    mutual: true,
    network: 0,
    acceptDue: false,
    reported: true,
    servicesDue: []
  }
}
const ended = Revocation.chosen(trusted, NOW).relation
const tags = ({ outputs }: { readonly outputs: ReadonlyArray<{ readonly _tag: string }> }) =>
  outputs.map(({ _tag }) => _tag)

describe("Revocation", () => {
  it("is said again each minute until the peer has it (node §2.3)", () => {
    assert.deepStrictEqual(tags(Revocation.due(ended, NOW + 59)), ["ReportRevocation"])
    const again = Revocation.due(ended, NOW + 60)
    assert.deepStrictEqual(tags(again), ["SendRevoke", "ReportRevocation"])
    assert.deepStrictEqual(tags(Revocation.due(again.relation, NOW + 119)), ["ReportRevocation"])
    const told = Revocation.delivered(Revocation.reported(again.relation).relation).relation
    assert.deepStrictEqual(tags(Revocation.due(told, NOW + 1000)), [])
  })

  it("a refusal of the registry's relay is the answer to our notice", () => {
    assert.isFalse(step(ended, Input.RejectRelayed(), NOW).relation.revoked?.noticeDue)
  })

  it("an accept that the registry relays means that the peer is there: it is told at once, and the registry again", () => {
    const heard = step(ended, Input.AcceptRelayed(), NOW + 5)

    assert.deepStrictEqual(tags(heard), ["SendRevoke", "ReportRevocation"])
    assert.isUndefined(heard.relation.trusted)
  })

  it("a signed notice ends the trust in that key only, and not one that is older than the trust", () => {
    assert.isUndefined(Revocation.relayed(trusted, PEER, NOW).relation.trusted)
    assert.strictEqual(Revocation.relayed(trusted, OTHER, NOW).relation.trusted, trusted.trusted)
    assert.deepStrictEqual(Revocation.relayed(trusted, PEER, NOW - 61), { relation: trusted, outputs: [] })
  })

  it("a person who asks again has changed their mind: nothing is said any more", () => {
    const asked = Input.RequestChosen({ publicKey: PEER, justification: "", isInsisting: false })

    assert.isUndefined(step(ended, asked, NOW).relation.revoked)
  })

  it("a peer that stays away for thirty days is not told any more", () => {
    const reported = Revocation.reported(ended).relation
    const { outgoingSeconds } = TrustTable.DEFAULT_LIMITS

    assert.isTrue(Relation.expire(reported, TrustTable.DEFAULT_LIMITS, NOW + outgoingSeconds).revoked?.noticeDue)
    assert.isUndefined(Relation.expire(reported, TrustTable.DEFAULT_LIMITS, NOW + 300 + outgoingSeconds).revoked)
  })

  it("a notice is read back as it was written, and nothing else is one", () => {
    const notice = { atSeconds: NOW, signature: new Uint8Array(64).fill(3) }
    const text = Revocation.formatNotice(notice)

    assert.deepStrictEqual(Revocation.parseNotice(text), notice)
    for (const wrong of ["", "trust me", `${text}x`, text.slice(1), ` ${text}`])
      assert.isUndefined(Revocation.parseNotice(wrong))
    assert.notStrictEqual(Revocation.signedText(PEER, OTHER, NOW), Revocation.signedText(OTHER, PEER, NOW))
  })
})
