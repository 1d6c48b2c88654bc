/** Two stations joined by a line with delay, on virtual time: every frame sent is numbered, and any one can be lost. */
import { pathOf, type Station } from "./TunnelStation.ts"

/** What is under way. */
interface Flight {
  readonly dueAtMs: number
  readonly from: Station
  readonly to: Station
  readonly bytes: Uint8Array
}

/** Both ways take half of `roundTripMs`, in order. */
export class TunnelLine {
  nowMs: number
  /** Frames given to the line, lost ones included. */
  carried = 0
  readonly #stations: readonly [Station, Station]
  readonly #roundTripMs: number
  readonly #isLost: (index: number, from: Station) => boolean
  #flights: Array<Flight> = []

  constructor(options: {
    readonly stations: readonly [Station, Station]
    readonly roundTripMs: number
    readonly nowMs: number
    readonly isLost?: (index: number, from: Station) => boolean
  }) {
    this.#stations = options.stations
    this.#roundTripMs = options.roundTripMs
    this.nowMs = options.nowMs
    this.#isLost = options.isLost ?? (() => false)
  }

  /** Takes what the stations have to send, then moves time on, one millisecond after the other. */
  run(forMs: number, eachMs: () => void = () => {}): void {
    for (const untilMs = this.nowMs + forMs; this.nowMs < untilMs; ) {
      this.#collect()
      this.nowMs += 1
      this.#arrive()
      for (const { tunnel } of this.#stations) if (tunnel.deadlineMs <= this.nowMs) this.#wake()
      eachMs()
    }
    this.#collect()
  }

  #wake(): void {
    for (const station of this.#stations) if (station.tunnel.deadlineMs <= this.nowMs) station.timeout(this.nowMs)
  }

  #collect(): void {
    for (const [index, from] of this.#stations.entries()) {
      const to = this.#stations[1 - index]!
      for (const { bytes } of from.take()) {
        const isLost = this.#isLost(this.carried, from)
        this.carried += 1
        if (!isLost) this.#flights.push({ dueAtMs: this.nowMs + this.#roundTripMs / 2, from, to, bytes })
      }
    }
  }

  #arrive(): void {
    const due = this.#flights.filter(({ dueAtMs }) => dueAtMs <= this.nowMs)
    this.#flights = this.#flights.filter(({ dueAtMs }) => dueAtMs > this.nowMs)
    for (const { from, to, bytes } of due) to.receive(bytes, pathOf(from), this.nowMs)
  }
}
