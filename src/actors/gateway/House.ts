/** What the doors of one gateway share. */
import type * as Quota from "../../core/data/Quota.ts"
import type { HttpRelay } from "../../core/net/HttpRelay.ts"
import type { Tcp } from "../../core/net/Tcp.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Overlay } from "./Overlay.ts"

/** What the doors of a gateway share. */
export interface House {
  readonly overlay: Overlay
  readonly tcp: Tcp["Service"]
  readonly http: HttpRelay["Service"]
  readonly udp: UdpEndpoint["Service"]
  /** Connections under way, in all and of each peer that comes in. */
  readonly places: Quota.Quota<NodeId | undefined>
}
