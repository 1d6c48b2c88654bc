/** A way through a gateway: what it is, and what has gone through it. */
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** A port of this host that leads to a port of a peer. */
export interface PeerDoor {
  readonly _tag: "Peer"
  readonly listen: Endpoint
  readonly peer: string
  readonly port: number
}

/** A virtual port of this node that leads to a port of this host. */
export interface SelfDoor {
  readonly _tag: "Self"
  readonly port: number
  readonly to: Endpoint
  /** Requests are HTTP, and who calls goes along as headers. */
  readonly isHttp: boolean
  /** Undefined: every trusted peer, because strangers get no answer from the node (security rule 3). */
  readonly allow: ReadonlySet<NodeId> | undefined
}

/** SOCKS5 and HTTP proxy in one port of this host, for the names under `.pilot`. */
export interface ProxyDoor {
  readonly _tag: "Proxy"
  readonly listen: Endpoint
  /** What clients must show; undefined for nothing. */
  readonly token: string | undefined
}

/** A UDP port of this host whose datagrams go to a port of a peer. */
export interface UdpPeerDoor {
  readonly _tag: "UdpPeer"
  readonly listen: Endpoint
  readonly peer: string
  readonly port: number
}

/** A virtual port of this node whose datagrams go to a UDP port of this host. `allow` as in a `SelfDoor`. */
export interface UdpSelfDoor {
  readonly _tag: "UdpSelf"
  readonly port: number
  readonly to: Endpoint
  readonly allow: ReadonlySet<NodeId> | undefined
}

/** Any of them. */
export type Door = PeerDoor | SelfDoor | ProxyDoor | UdpPeerDoor | UdpSelfDoor

/** A door that is open. Mutable inside the `Gateway` that owns it. */
export interface OpenDoor {
  readonly door: Door
  /** Where it listens on this host: port 0 has become a port. Undefined for a `Self` door. */
  readonly local: Endpoint | undefined
  /** Connections now, and in all; of UDP correspondents. */
  open: number
  connections: number
  /** Turned away, or led nowhere; of UDP datagrams that were dropped as well. */
  refused: number
  bytes: number
  /** Why it does not work now, if it does not; else why the last connection led nowhere. */
  problem: string | undefined
}

/** Nothing has gone through it. */
export const opened = (door: Door, local: Endpoint | undefined): OpenDoor => ({
  door,
  local,
  open: 0,
  connections: 0,
  refused: 0,
  bytes: 0,
  problem: undefined
})
