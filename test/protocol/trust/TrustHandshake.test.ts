import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import * as TrustHandshake from "../../../src/protocol/trust/TrustHandshake.ts"
import * as TrustOutput from "../../../src/protocol/trust/TrustOutput.ts"

const { Input } = TrustHandshake
const NOW = 1_771_000_000
const key = (fill: number) => new Uint8Array(32).fill(fill)
const PEER = key(1)
const OTHER = key(2)

const trusted: Relation.Trusted = {
  publicKey: PEER,
  approvedAtSeconds: NOW - 100,
  mutual: false,
  network: 0,
  acceptDue: false,
  reported: true,
  servicesDue: []
}
const pending: Relation.Pending = {
  publicKey: PEER,
  justification: "first",
  receivedAtSeconds: NOW - 100,
  confirmed: true
}
const outgoing: Relation.Outgoing = {
  publicKey: PEER,
  justification: "mine",
  requestedAtSeconds: NOW - 100,
  acceptedAtSeconds: undefined
}
const revoked: Relation.Revoked = {
  untilSeconds: NOW + 200,
  reportDue: false,
  publicKey: PEER,
  noticeDue: true,
  triedAtSeconds: NOW - 100
}

const STANDINGS: Readonly<Record<Relation.Standing, Relation.Relation>> = {
  none: Relation.none,
  outgoing: { ...Relation.none, outgoing },
  acceptedByRelay: { ...Relation.none, outgoing: { ...outgoing, acceptedAtSeconds: NOW - 50 } },
  pending: { ...Relation.none, pending },
  pendingAndOutgoing: { ...Relation.none, pending, outgoing },
  trusted: { ...Relation.none, trusted },
  revoked: { ...Relation.none, revoked }
}

const INPUTS: ReadonlyArray<TrustHandshake.Input> = [
  Input.RequestReceived({ publicKey: PEER, justification: "again", confirmed: true }),
  Input.AcceptReceived({ publicKey: PEER }),
  Input.RejectReceived({ publicKey: PEER, reason: "no" }),
  Input.RevokeReceived({ publicKey: PEER }),
  Input.RequestRelayed({ publicKey: PEER, justification: "again" }),
  Input.AcceptRelayed(),
  Input.RejectRelayed(),
  Input.RevokeRelayed({ publicKey: PEER, atSeconds: NOW }),
  Input.RequestGranted({ publicKey: PEER, justification: "", isRelayed: false, services: ["files"] }),
  Input.RequestBarred({ publicKey: PEER, justification: "", isRelayed: false, reason: "used" }),
  Input.TunnelOpened({ publicKey: PEER }),
  Input.RequestChosen({ publicKey: PEER, justification: "mine", isInsisting: false }),
  Input.RequestLeft(),
  Input.ApprovalChosen({ publicKey: PEER }),
  Input.RejectionChosen({ reason: "no" }),
  Input.RevocationChosen(),
  Input.AcceptDelivered(),
  Input.TrustReported(),
  Input.ServicesOpened(),
  Input.RevocationReported(),
  Input.RevokeDelivered(),
  Input.Polled(),
  Input.Reregistered()
]

const show = (output: TrustOutput.Output): string => {
  if (output._tag === "Report") return `report ${output.fact}`
  if (output._tag === "Answer") return `answer ${output.result}`
  return output._tag === "AnswerRelayed" ? `${output._tag} ${output.accept}` : output._tag
}

const row = (standing: Relation.Standing, input: TrustHandshake.Input): string => {
  const { relation, outputs } = TrustHandshake.step(STANDINGS[standing], input, NOW)
  const to = Relation.standing(relation)
  const change = to === standing ? standing : `${standing} -> ${to}`
  return `${change}: ${outputs.map(show).join(", ") || "-"}`
}

/** Every cell that does something; all others are ignored without a trace. */
const TABLE = `
RequestReceived
  none -> pending: report RequestReceived, report RequestPending
  outgoing -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  acceptedByRelay -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  pending: report RequestReceived, report RequestPending
  pendingAndOutgoing -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  trusted: report RequestReceived, SendAccept
  revoked -> pending: report RequestReceived, report RequestPending
AcceptReceived
  outgoing -> trusted: ReportTrust, report ApprovedMutually
  acceptedByRelay -> trusted: ReportTrust, report ApprovedMutually
  pendingAndOutgoing -> trusted: ReportTrust, report ApprovedMutually
RejectReceived
  outgoing -> none: report RejectedByPeer
  acceptedByRelay -> none: report RejectedByPeer
  pendingAndOutgoing -> pending: report RejectedByPeer
RevokeReceived
  outgoing -> none: -
  acceptedByRelay -> none: -
  pending -> none: -
  pendingAndOutgoing -> none: -
  trusted -> revoked: DropPeer, ReportRevocation, report RevokedByPeer
RequestRelayed
  none -> pending: report RequestReceived, report RequestPending
  outgoing -> acceptedByRelay: AnswerRelayed true, report AcceptedByRelay, OpenTunnel
  acceptedByRelay: AnswerRelayed true, OpenTunnel
  pending: report RequestReceived, report RequestPending
  pendingAndOutgoing -> acceptedByRelay: AnswerRelayed true, report AcceptedByRelay, OpenTunnel
  trusted: AnswerRelayed true
  revoked -> pending: report RequestReceived, report RequestPending
AcceptRelayed
  outgoing -> acceptedByRelay: report AcceptedByRelay, OpenTunnel
  acceptedByRelay: OpenTunnel
  pendingAndOutgoing -> acceptedByRelay: report AcceptedByRelay, OpenTunnel
  revoked: SendRevoke, ReportRevocation
RejectRelayed
  outgoing -> none: report RejectedByPeer
  acceptedByRelay -> none: report RejectedByPeer
  pendingAndOutgoing -> pending: report RejectedByPeer
RevokeRelayed
  none: AnswerRelayed false
  pending: AnswerRelayed false
  trusted -> revoked: DropPeer, ReportRevocation, report RevokedByPeer, AnswerRelayed false
  revoked: AnswerRelayed false
RequestGranted
  none -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
  outgoing -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
  acceptedByRelay -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
  pending -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
  pendingAndOutgoing -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
  trusted: report RequestReceived, OpenServices, SendAccept
  revoked -> trusted: report RequestReceived, OpenServices, SendAccept, ReportTrust, report ApprovedMutually
RequestBarred
  none: report RequestReceived, SendReject
  outgoing -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  acceptedByRelay -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  pending: report RequestReceived, SendReject
  pendingAndOutgoing -> trusted: report RequestReceived, SendAccept, ReportTrust, report ApprovedMutually
  trusted: report RequestReceived, SendAccept
  revoked: report RequestReceived, SendReject
TunnelOpened
  acceptedByRelay -> trusted: SendAccept, ReportTrust, report ApprovedMutually
RequestChosen
  none -> outgoing: answer Sent, SendRequest
  outgoing: answer Sent, SendRequest
  acceptedByRelay: answer Sent, SendRequest
  pending -> pendingAndOutgoing: answer Sent, SendRequest
  pendingAndOutgoing: answer Sent, SendRequest
  trusted: answer AlreadyTrusted
  revoked -> outgoing: answer Sent, SendRequest
RequestLeft
ApprovalChosen
  none: answer NotPending
  outgoing: answer NotPending
  acceptedByRelay: answer NotPending
  pending -> trusted: answer Approved, AnswerRelayed true, SendAccept, ReportTrust, report Approved
  pendingAndOutgoing -> trusted: answer Approved, AnswerRelayed true, SendAccept, ReportTrust, report ApprovedMutually
  trusted: answer NotPending
  revoked: answer NotPending
RejectionChosen
  none: answer NotPending
  outgoing: answer NotPending
  acceptedByRelay: answer NotPending
  pending -> none: answer Rejected, AnswerRelayed false, SendReject, report Rejected
  pendingAndOutgoing -> none: answer Rejected, AnswerRelayed false, SendReject, report Rejected
  trusted: answer NotPending
  revoked: answer NotPending
RevocationChosen
  none: answer NotTrusted
  outgoing -> revoked: answer NotTrusted
  acceptedByRelay -> revoked: answer NotTrusted
  pending -> revoked: answer NotTrusted
  pendingAndOutgoing -> revoked: answer NotTrusted
  trusted -> revoked: answer Revoked, SendRevoke, DropPeer, ReportRevocation, report Revoked
  revoked: answer NotTrusted
AcceptDelivered
TrustReported
ServicesOpened
RevocationReported
RevokeDelivered
Polled
  acceptedByRelay: OpenTunnel
  revoked: SendRevoke
Reregistered
  acceptedByRelay: OpenTunnel
  trusted: ReportTrust
  revoked: SendRevoke
`.trim()

/** A peer of which everything may be known at once, under either of two keys. */
const Keys = Schema.Literals([1, 2])
const Trace = Schema.Array(
  Schema.Struct({ input: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 21 })), fill: Keys })
).check(Schema.isMinLength(15), Schema.isMaxLength(60))
/** Few traces come near trust by chance. */
const MANY = { arbitrary: { runs: 500 } }
const inputAt = (index: number, fill: number): TrustHandshake.Input => {
  const input = INPUTS[index]!
  return "publicKey" in input ? { ...input, publicKey: key(fill) } : input
}

describe("TrustHandshake", () => {
  it("follows the table of node §2.3 in every standing for every input", () => {
    const standings = Object.keys(STANDINGS) as ReadonlyArray<Relation.Standing>
    const matrix = INPUTS.flatMap((input) => [
      input._tag,
      ...standings
        .map((standing) => ({ standing, text: row(standing, input) }))
        .filter(({ standing, text }) => text !== `${standing}: -`)
        .map(({ text }) => `  ${text}`)
    ])

    assert.deepStrictEqual(matrix, TABLE.split("\n"))
  })

  it.prop(
    "trusts a key only after a person chose that very key (security rules 1 and 2)",
    { trace: Trace },
    ({ trace }) => {
      let relation = Relation.none
      const asked = new Set<number>()
      const approved = new Set<number>()
      for (const { input: index, fill } of trace) {
        const input = inputAt(index, fill)
        const before = relation
        relation = TrustHandshake.step(before, input, NOW).relation
        if (input._tag === "RequestChosen") asked.add(fill)
        if (input._tag === "RequestGranted") asked.add(fill)
        if (input._tag === "RevocationChosen") asked.clear()
        if (relation.trusted === undefined || before.trusted === relation.trusted) continue
        const trustedFill = relation.trusted.publicKey[0]!
        if (input._tag === "ApprovalChosen") approved.add(trustedFill)
        assert.isTrue(asked.has(trustedFill) || approved.has(trustedFill))
      }
    },
    MANY
  )

  it.prop(
    "gains trust only by the steps named, and by that key's own act",
    { trace: Trace },
    ({ trace }) => {
      let relation = Relation.none
      for (const { input: index, fill } of trace) {
        const input = inputAt(index, fill)
        const before = relation
        relation = TrustHandshake.step(before, input, NOW).relation
        const gained = relation.trusted
        if (gained === undefined || Relation.isTrustedUnder(before, gained.publicKey)) continue
        assert.strictEqual(gained.publicKey[0], fill)
        if (input._tag === "RequestGranted") continue
        if (input._tag === "ApprovalChosen") assert.isDefined(before.pending)
        else if (input._tag === "TunnelOpened") assert.strictEqual(Relation.standing(before), "acceptedByRelay")
        else assert.include(["RequestReceived", "AcceptReceived", "RequestBarred"], input._tag)
        if (input._tag !== "ApprovalChosen") assert.isTrue(Relation.isOutgoingTo(before, gained.publicKey))
      }
    },
    MANY
  )

  it.prop(
    "being trusted leaves nothing undecided",
    { trace: Trace },
    ({ trace }) => {
      let relation = Relation.none
      for (const { input, fill } of trace) {
        const before = relation
        relation = TrustHandshake.step(before, inputAt(input, fill), NOW).relation
        if (relation.trusted === undefined || before.trusted !== undefined) continue
        assert.deepStrictEqual(
          [relation.pending, relation.outgoing, relation.revoked],
          [undefined, undefined, undefined]
        )
      }
    },
    MANY
  )

  it.prop(
    "an output is current right after the step that made it",
    { trace: Trace },
    ({ trace }) => {
      let relation = Relation.none
      for (const { input, fill } of trace) {
        const step = TrustHandshake.step(relation, inputAt(input, fill), NOW)
        relation = step.relation
        for (const output of step.outputs) assert.isTrue(TrustOutput.isCurrent(output, relation), output._tag)
      }
    },
    MANY
  )

  it("ignores an accept that nobody here asked for (node §2.2)", () => {
    const { relation, outputs } = TrustHandshake.step(Relation.none, Input.AcceptReceived({ publicKey: PEER }), NOW)

    assert.strictEqual(relation, Relation.none)
    assert.deepStrictEqual(outputs, [])
  })

  it("ignores an accept and a request by another key than the one asked for", () => {
    for (const input of [
      Input.AcceptReceived({ publicKey: OTHER }),
      Input.RequestReceived({ publicKey: OTHER, justification: "", confirmed: true }),
      Input.TunnelOpened({ publicKey: OTHER })
    ]) {
      const { relation } = TrustHandshake.step(STANDINGS.acceptedByRelay, input, NOW)
      assert.isUndefined(relation.trusted, input._tag)
    }
  })

  it("ends trust only for the key concerned (node §2.2)", () => {
    for (const standing of ["trusted", "outgoing", "pending"] as const) {
      const { relation } = TrustHandshake.step(STANDINGS[standing], Input.RevokeReceived({ publicKey: OTHER }), NOW)
      assert.deepStrictEqual(relation, STANDINGS[standing])
    }
  })

  it("does not approve another key than the one that asked", () => {
    const { relation, outputs } = TrustHandshake.step(
      STANDINGS.pending,
      Input.ApprovalChosen({ publicKey: OTHER }),
      NOW
    )

    assert.strictEqual(relation, STANDINGS.pending)
    assert.deepStrictEqual(outputs.map(show), ["answer NotPending"])
  })

  it("does not let an unconfirmed key take the place of a confirmed one that waits", () => {
    const input = Input.RequestReceived({ publicKey: OTHER, justification: "me", confirmed: false })

    assert.strictEqual(TrustHandshake.step(STANDINGS.pending, input, NOW).relation, STANDINGS.pending)
  })

  it("keeps the key of a waiting request when it is repeated by relay without one", () => {
    const input = Input.RequestRelayed({ publicKey: Bytes.empty, justification: "again" })
    const { relation } = TrustHandshake.step(STANDINGS.pending, input, NOW)

    assert.deepStrictEqual(relation.pending, { ...pending, justification: "again", receivedAtSeconds: NOW })
  })

  it("answers a relayed request at the registry only when its key is known to be the one asked for", () => {
    const input = Input.RequestRelayed({ publicKey: Bytes.empty, justification: "" })

    assert.strictEqual(row("outgoing", input), "outgoing -> acceptedByRelay: report AcceptedByRelay, OpenTunnel")
    assert.strictEqual(row("trusted", input), "trusted: -")
  })

  it("ignores accepts after a revocation until a person asks again (node §2.3)", () => {
    const ended = TrustHandshake.step(STANDINGS.trusted, Input.RevocationChosen(), NOW).relation
    const accept = Input.AcceptReceived({ publicKey: PEER })
    const ignored = TrustHandshake.step(ended, accept, NOW).relation
    const request = Input.RequestChosen({ publicKey: PEER, justification: "", isInsisting: false })
    const asked = TrustHandshake.step(ignored, request, NOW).relation

    assert.isUndefined(ignored.trusted)
    assert.isDefined(TrustHandshake.step(asked, accept, NOW).relation.trusted)
  })

  it("replaces trust under an old key when a person asks for the new one", () => {
    const request = Input.RequestChosen({ publicKey: OTHER, justification: "", isInsisting: false })
    const { relation, outputs } = TrustHandshake.step(STANDINGS.trusted, request, NOW)

    assert.strictEqual(Relation.standing(relation), "outgoing")
    assert.deepStrictEqual(outputs.map(show), ["answer Sent", "SendRequest"])
  })

  it("tries again after a poll what did not get through", () => {
    const relation = { ...Relation.none, trusted: { ...trusted, acceptDue: true, reported: false } }
    const ended = { ...Relation.none, revoked: { ...revoked, reportDue: true } }

    const tags = (self: Relation.Relation) => TrustHandshake.step(self, Input.Polled(), NOW).outputs.map(show)
    assert.deepStrictEqual(tags(relation), ["ReportTrust", "SendAccept"])
    assert.deepStrictEqual(tags(ended), ["SendRevoke", "ReportRevocation"])
  })

  it("reports a pair again after the registry forgot it (rendezvous §9.3)", () => {
    const reported = TrustHandshake.step(STANDINGS.trusted, Input.Reregistered(), NOW)

    assert.deepStrictEqual(reported.outputs.map(show), ["ReportTrust"])
    assert.isFalse(reported.relation.trusted?.reported)
  })

  it("takes no refusal of an earlier request for one of the request that was made since", () => {
    const after = (relation: Relation.Relation, ...inputs: ReadonlyArray<TrustHandshake.Input>) =>
      Relation.standing(inputs.reduce((at, input) => TrustHandshake.step(at, input, NOW).relation, relation))
    const request = Input.RequestChosen({ publicKey: PEER, justification: "please", isInsisting: false })
    const [told, relayed, left] = [
      Input.RejectReceived({ publicKey: PEER, reason: "no" }),
      Input.RejectRelayed(),
      Input.RequestLeft()
    ]

    for (const { inputs, standing } of [
      { inputs: [request, told], standing: "outgoing" },
      { inputs: [request, relayed], standing: "outgoing" },
      { inputs: [request, left, told], standing: "none" },
      { inputs: [request, left, relayed], standing: "none" },
      // The registry says once more what the peer had said, before the new request or after it.
      { inputs: [told, relayed, request, left, relayed], standing: "none" },
      { inputs: [told, request, left, relayed], standing: "outgoing" },
      { inputs: [told, request, left, relayed, relayed], standing: "none" },
      { inputs: [told, request, request, left, relayed], standing: "outgoing" },
      { inputs: [request, told, left, relayed], standing: "outgoing" },
      { inputs: [told, request, left, told], standing: "none" }
    ])
      assert.strictEqual(after(STANDINGS.outgoing, ...inputs), standing, JSON.stringify(inputs))
  })

  it("does not refuse a peer that has asked again since", () => {
    const { outputs } = TrustHandshake.step(STANDINGS.pending, Input.RejectionChosen({ reason: "no" }), NOW)
    const refusals = outputs.filter(({ _tag }) => _tag === "AnswerRelayed" || _tag === "SendReject")

    assert.lengthOf(refusals, 2)
    for (const refusal of refusals) {
      assert.isTrue(TrustOutput.isCurrent(refusal, STANDINGS.none))
      assert.isFalse(TrustOutput.isCurrent(refusal, STANDINGS.pending))
    }
  })

  it("does not perform what was overtaken", () => {
    const accept = TrustOutput.Output.SendAccept({ publicKey: PEER })
    const report = TrustOutput.Output.ReportRevocation()

    assert.isFalse(TrustOutput.isCurrent(accept, STANDINGS.revoked))
    assert.isFalse(TrustOutput.isCurrent(report, STANDINGS.trusted))
    assert.isFalse(
      TrustOutput.isCurrent(TrustOutput.Output.AnswerRelayed({ publicKey: PEER, accept: true }), STANDINGS.revoked)
    )
  })
})
