/** The answer to `why`: how a peer is reached, and why so (docs/netcheck.md). Pure. */
import type { JsonObject } from "../../core/data/Json.ts"
import type * as Birthday from "../../nat/Birthday.ts"
import type { NatKnowledge } from "../../nat/NatReport.ts"
import * as NatReport from "../../nat/NatReport.ts"
import * as Path from "../../nat/Path.ts"
import * as PathReport from "../../nat/PathReport.ts"
import type { ConnectionStatus, PeerStatus } from "../node/Node.ts"

/** Everything it is made of. */
export interface Evidence {
  /** `undefined` if nothing is known of the peer but its name. */
  readonly peer: PeerStatus | undefined
  readonly connections: ReadonlyArray<ConnectionStatus>
  readonly nat: NatKnowledge
}

/** Unknowns are null. */
export const make = ({ connections, nat, peer }: Evidence): JsonObject => {
  const candidates = peer?.candidates ?? []
  const kind = peer?.kind ?? "none"
  const chosen = candidates.find(({ isChosen }) => isChosen)
  return {
    kind,
    path: kind === "none" || chosen === undefined ? "" : Path.format(chosen.path),
    rtt_ms: peer?.rttMs === undefined ? null : rounded(peer.rttMs),
    loss: loss(connections),
    encrypted: peer?.encrypted === true,
    authenticated: peer?.authenticated === true,
    reason: PathReport.reason(kind, candidates, peer?.birthday),
    candidates: candidates.map(row),
    birthday: birthday(peer?.birthday),
    nat: nat.report === undefined ? "unknown" : NatReport.kindOf(nat.report),
    advice: PathReport.advice(kind, candidates, nat, peer?.birthday)
  }
}

const row = (candidate: PathReport.Candidate): JsonObject => ({
  path: Path.format(candidate.path),
  source: candidate.path.relayed ? "beacon" : candidate.isLearned ? "registry" : "peer",
  verdict: candidate.verdict,
  in_use: candidate.isChosen,
  heard_ms_ago: candidate.openedMsAgo === undefined ? null : Math.round(candidate.openedMsAgo),
  sent_bytes: candidate.sentBytes,
  received_bytes: candidate.receivedBytes,
  unanswered: candidate.unanswered,
  probes_sent: candidate.probes?.sent ?? 0,
  probes_answered: candidate.probes?.answered ?? 0,
  rtt_ms: orNull(candidate.probes?.rttMs),
  loss: orNull(candidate.probes?.loss)
})

/** The last try to guess ports. */
const birthday = (report: Birthday.Report | undefined): JsonObject | null =>
  report === undefined
    ? null
    : {
        role: report.role,
        outcome: report.outcome,
        detail: report.detail,
        sockets: report.sockets,
        probes: report.probes,
        took_ms: Math.round(report.tookMs)
      }

/** Part of the segments of open streams that were sent again; null before any was sent. */
const loss = (connections: ReadonlyArray<ConnectionStatus>): number | null => {
  const sent = connections.reduce((total, { segmentsSent }) => total + segmentsSent, 0)
  const again = connections.reduce((total, { retransmits }) => total + retransmits, 0)
  return sent === 0 ? null : rounded(Math.min(1, again / sent))
}

const orNull = (value: number | undefined): number | null => (value === undefined ? null : rounded(value))

const rounded = (value: number): number => Math.round(value * 1000) / 1000
