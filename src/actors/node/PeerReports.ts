/** What a peer's actor tells of its tunnel and its path: to observers each change once, in its status as it is now. */
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type * as Path from "../../nat/Path.ts"
import type { PathSelector } from "../../nat/PathSelector.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Tunnel } from "../../protocol/tunnel/Tunnel.ts"
import type { Output } from "../../protocol/tunnel/TunnelOutput.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Announcement from "../../protocol/wire/Announcement.ts"
import type { PeerStatus } from "./Node.ts"

/** Those of a tunnel's outputs that nobody has to act upon. */
export type Notice = Extract<Output, { readonly _tag: "PeerRestarted" | "Downgraded" | "Replayed" | "Desynchronised" }>

/** Mutable: remembers what was told last. */
export class PeerReports {
  readonly #peer: NodeId
  readonly #report: (event: ProtocolEvent) => void
  #isEstablished = false
  #path: Path.Path | undefined

  constructor(peer: NodeId, report: (event: ProtocolEvent) => void) {
    this.#peer = peer
    this.#report = report
  }

  /** Keys have proven themselves: the first of this life, or new ones. */
  established({ path, scheme }: Extract<Output, { _tag: "Established" }>): void {
    const peer = this.#peer
    if (this.#isEstablished) this.#report({ _tag: "PeerRekeyed", peer })
    else this.#report({ _tag: "PeerEstablished", peer, path: kindOf(path), scheme: scheme === "later" ? "H" : "L" })
    this.#isEstablished = true
  }

  /** What the tunnel asks for that is only to be told. */
  noticed(output: Notice): void {
    const peer = this.#peer
    if (output._tag === "PeerRestarted") this.#report({ _tag: "PeerRestarted", peer })
    else if (output._tag === "Downgraded") this.#report({ _tag: "KeyRefused", peer, reason: "Downgrade" })
    else if (output._tag === "Replayed")
      this.#report({ _tag: "PacketDropped", reason: "ReplayedNonce", peer, counter: output.counter })
  }

  /** The path in use by a tunnel that is open. */
  path(path: Path.Path | undefined): void {
    if (path === undefined || path === this.#path) return
    this.#path = path
    this.#report({ _tag: "PathChanged", peer: this.#peer, path: kindOf(path), endpoint: path.endpoint })
  }
}

/** Where a peer is, as its status says: by what way, once anything of it has opened, and which others there are. */
export const place = (
  selector: PathSelector,
  hasOpened: boolean,
  beacon: Endpoint | undefined,
  nowMs: number
): Pick<PeerStatus, "endpoint" | "path" | "candidates"> => {
  const path = selector.current
  return {
    endpoint: path?.relayed === true ? beacon : path?.endpoint,
    path: path === undefined || !hasOpened ? "none" : kindOf(path),
    candidates: selector.report(nowMs)
  }
}

/** What a peer is known to speak. */
export const abilities = ({
  announcement,
  scheme
}: Pick<Tunnel, "announcement" | "scheme">): Pick<PeerStatus, "scheme" | "halfCloses"> => ({
  scheme,
  halfCloses: announcement !== undefined && Announcement.has(announcement, Announcement.Capability.HalfClose)
})

const kindOf = (path: Pick<Path.Path, "relayed">): "relay" | "direct" => (path.relayed ? "relay" : "direct")
