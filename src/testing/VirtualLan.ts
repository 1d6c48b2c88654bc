/**
 * `LanDiscovery` between the hosts behind one translator of a `VirtualNetwork`: what one publishes the others hear a
 * millisecond later, and again when somebody asks. The public network is no local one.
 */
import { Effect } from "effect"
import { LanDiscovery, type LanHeard, type LanRecord, LanUnavailable } from "../core/net/LanDiscovery.ts"
import type { Host, VirtualNetwork } from "./VirtualNetwork.ts"

/** Who is there. Mutable; one for each world. */
export class VirtualLan {
  readonly #network: VirtualNetwork
  readonly #stations = new Set<Station>()

  constructor(network: VirtualNetwork) {
    this.#network = network
  }

  /** As a machine has it, while it runs. */
  of(host: Host, isRunning: () => boolean): LanDiscovery["Service"] {
    return LanDiscovery.of({
      open: () =>
        Effect.suspend(() => {
          if (!isRunning()) return Effect.fail(new LanUnavailable({ detail: "the machine is off" }))
          const station: Station = { host, isRunning, record: undefined, heard: () => {} }
          return Effect.acquireRelease(
            Effect.sync(() => {
              this.#stations.add(station)
              return {
                addresses: () => (this.#isPublic(host) ? [] : [host.address]),
                publish: (record: LanRecord) => {
                  station.record = record
                  for (const other of this.#around(station)) this.#tell(station, other)
                },
                ask: () => {
                  for (const other of this.#around(station)) this.#tell(other, station)
                },
                onHeard: (heard: (one: LanHeard) => void) => {
                  station.heard = heard
                }
              }
            }),
            () => Effect.sync(() => void this.#stations.delete(station))
          )
        })
    })
  }

  #isPublic({ segment }: Host): boolean {
    return segment === this.#network.public
  }

  #around(station: Station): ReadonlyArray<Station> {
    const { host } = station
    return [...this.#stations].filter(
      (other) => other !== station && other.host.segment === host.segment && !this.#isPublic(host) && other.isRunning()
    )
  }

  #tell({ host, record }: Station, to: Station): void {
    if (record === undefined) return
    const { time } = this.#network
    time.at(time.nowMs + DELAY_MS, () => {
      if (!to.isRunning() || !this.#network.isConnected(host, to.host)) return
      to.heard({ texts: record.texts, from: host.address })
    })
  }
}

interface Station {
  readonly host: Host
  readonly isRunning: () => boolean
  record: LanRecord | undefined
  heard: (one: LanHeard) => void
}

const DELAY_MS = 1
