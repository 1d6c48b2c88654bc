/** Where peers may reach a node without the relay, from what it knows of itself in this moment. */
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { UdpSocket } from "../../core/net/UdpEndpoint.ts"
import * as NatReport from "../../nat/NatReport.ts"
import * as Places from "../../nat/Places.ts"
import type { PortMapping } from "../../nat/PortMapClient.ts"
import type { Place } from "../../protocol/wire/PathOffer.ts"
import type { Mapping } from "./Mapping.ts"
import type { NatObserver } from "./NatObserver.ts"

/** What it is asked of. */
export interface Options {
  readonly socket: Pick<UdpSocket, "local" | "other">
  /** Of this host's interfaces. */
  readonly addresses: () => ReadonlyArray<string>
  readonly mapping: Mapping
  readonly nat: NatObserver
  /** The operator's promise. */
  readonly endpoint: Endpoint | undefined
}

/** One per node. */
export class OwnPlaces {
  /** What the router gave, as long as it does. */
  portMapping: PortMapping | undefined
  /** Why a router that speaks UPnP gave none. */
  portMapDetail: string | undefined
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /** Only where the world sees this node at that address: behind two translators the outer one's would be needed. */
  get portMapped(): Endpoint | undefined {
    const external = this.portMapping?.external
    return external !== undefined && external.host === this.#options.mapping.endpoint?.host ? external : undefined
  }

  /** All of them. */
  get all(): ReadonlyArray<Place> {
    const { addresses, endpoint, mapping, nat, socket } = this.#options
    const { report } = nat.knowledge
    return Places.own({
      bound: socket.other === undefined ? [socket.local] : [socket.local, socket.other],
      addresses: addresses(),
      reflexive: mapping.endpoint,
      isSequential: report !== undefined && NatReport.isSequential(report),
      mapped: endpoint ?? this.portMapped
    })
  }
}
