/** Why a peer is reached the way it is: its candidates, what became of them, and what would make it better. Pure. */
import * as AddressScope from "../core/data/AddressScope.ts"
import type * as Birthday from "./Birthday.ts"
import type { NatKnowledge } from "./NatReport.ts"
import * as NatReport from "./NatReport.ts"
import type * as Path from "./Path.ts"
import type { Quality } from "./PathQuality.ts"

/**
 * What became of a candidate. `proven`: an authenticated frame came by it. `silent`: it did once, and now frames go unanswered.
 * `heard`: something came, but nothing that opened. `unanswered`: asked, in vain so far. `untried`: not asked yet.
 */
export type Verdict = "proven" | "silent" | "heard" | "unanswered" | "untried"

/** One way to a peer. */
export interface Candidate {
  readonly path: Path.Path
  readonly isChosen: boolean
  /** Named by the registry or the beacon, not only by the source of what came. */
  readonly isLearned: boolean
  readonly verdict: Verdict
  /** Since an authenticated frame came by it; `undefined` if none ever did. */
  readonly openedMsAgo: number | undefined
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly unanswered: number
  /** What probes that were answered on it, and on no other, have measured. */
  readonly probes?: Quality
}

/**
 * The way in use. `direct`: to where the peer is, and this host has no translator or the peer is on its side of it.
 * `hole-punch`: the same through this host's translator. `relay`: by the beacon. `websocket`: by the beacon, over HTTPS.
 */
export type Kind = "direct" | "hole-punch" | "relay" | "websocket" | "none"

/** What decides it. */
export interface Surroundings {
  /** Whoever has such an address sees another endpoint than this host has. */
  readonly isTranslated: (host: string) => boolean
  /** Datagrams to the beacon go by a WebSocket. */
  readonly isBridged: boolean
}

/** Of a way as a peer's status tells it. */
export const kindOf = (
  {
    endpoint,
    path
  }: { readonly path: "direct" | "relay" | "none"; readonly endpoint: { readonly host: string } | undefined },
  { isBridged, isTranslated }: Surroundings
): Kind => {
  if (path === "relay") return isBridged ? "websocket" : "relay"
  return path === "direct" &&
    endpoint !== undefined &&
    !AddressScope.isInside(endpoint.host) &&
    isTranslated(endpoint.host)
    ? "hole-punch"
    : path
}

/** In one sentence. */
export const reason = (
  kind: Kind,
  candidates: ReadonlyArray<Candidate>,
  birthday: Birthday.Report | undefined = undefined
): string => {
  const direct = candidates.filter(({ path }) => !path.relayed)
  const count = (verdict: Verdict) => direct.filter((candidate) => candidate.verdict === verdict).length
  switch (kind) {
    case "none":
      return candidates.length === 0 ? "nothing was tried yet" : "no authenticated frame has come by any path"
    case "direct":
    case "hole-punch":
      return "an authenticated frame came by it, and a direct path beats the relay"
    default:
      if (direct.length === 0) return "it is not known where the peer is: a private node tells only whom it trusts"
      if (count("silent") > 0) return "the direct path fell silent; it is tried again"
      if (count("heard") > 0) return "something came by a direct path, but nothing authentic yet"
      return `no answer by ${direct.length === 1 ? "the direct path" : `any of ${direct.length} direct paths`}${guessed(birthday)} so far; they are tried again`
  }
}

const guessed = (birthday: Birthday.Report | undefined): string => {
  if (birthday?.outcome === "running") return ", and ports are being guessed,"
  return birthday?.outcome === "missed" ? ", nor by ports that were guessed," : ""
}

/** What would bring a direct path, for people; nothing where there is one. */
export const advice = (
  kind: Kind,
  candidates: ReadonlyArray<Candidate>,
  { report }: NatKnowledge,
  birthday: Birthday.Report | undefined = undefined
): ReadonlyArray<string> => {
  if (kind === "direct" || kind === "hole-punch") return []
  if (kind === "none") return ["check that the peer runs and trusts this node: pilotctl ping PEER, pilotctl trust list"]
  if (kind === "websocket") return ["UDP is blocked on this network: allow outgoing UDP"]
  if (candidates.every(({ path }) => path.relayed))
    return ["let both nodes trust each other, or make the peer public, so that its endpoint becomes known"]
  if (birthday?.outcome === "running") return ["ports are being guessed: ask again in a quarter of a minute"]
  const here = report === undefined ? "unknown" : NatReport.kindOf(report)
  const peer = "run pilotctl netcheck on the peer: if its NAT is symmetric, its side is what stands in the way"
  if (here === "symmetric")
    return [
      "this host's NAT is symmetric: forward a UDP port to it (--listen, --endpoint), or let the router speak NAT-PMP, PCP or UPnP",
      peer
    ]
  if (here === "firewall") return ["this host's firewall lets in only who was sent something: allow incoming UDP", peer]
  return [peer]
}
