/**
 * Where the world sees this node: rounds of `AddressDiscovery` through the tunnel's own socket, so that the answer names
 * the mapping that peers will use, and the question keeps it open. Owned by `RegistrationActor`.
 */
import { Clock, Effect, Latch } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as EndpointOf from "../../core/data/Endpoint.ts"
import type { UdpSocket } from "../../core/net/UdpEndpoint.ts"
import * as AddressDiscovery from "../../nat/AddressDiscovery.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"

/** Why the node is to announce itself before its time. */
export interface Woken {
  readonly hasMoved: boolean
  readonly isSeenElsewhere: boolean
}

/** The answers of one beacon. */
export class Mapping {
  readonly #socket: UdpSocket
  readonly #beacon: Endpoint | undefined
  readonly #heard = Latch.makeUnsafe(false)
  #round: AddressDiscovery.AddressDiscovery | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #hasMoved = false
  #isSeenElsewhere = false
  readonly #woken = Latch.makeUnsafe(false)

  constructor(socket: UdpSocket, beacon: Endpoint | undefined) {
    this.#socket = socket
    this.#beacon = beacon
  }

  /** As the beacon last said. */
  get endpoint(): Endpoint | undefined {
    return this.#round?.mapped
  }

  /**
   * Waits until the beacon has answered without having been asked, so it does not know this node any more, though somebody
   * wants it, or until `wake`. Gives whether this host has moved, and whether that answer named another place than the last one.
   * For one waiter.
   */
  get woken(): Effect.Effect<Woken> {
    return Effect.map(this.#woken.await, () => {
      this.#woken.closeUnsafe()
      const woken = { hasMoved: this.#hasMoved, isSeenElsewhere: this.#isSeenElsewhere }
      this.#hasMoved = false
      this.#isSeenElsewhere = false
      return woken
    })
  }

  /** The way to the beacon has changed, or this host is in another network: `woken` ends. */
  wake(hasMoved = false): void {
    this.#hasMoved ||= hasMoved
    this.#woken.openUnsafe()
  }

  /** A discover reply arrived. */
  answered(from: Endpoint, mapped: Endpoint, nowMs: number): void {
    // Not a late answer, or a copy of one: that would make questions out of answers for ever.
    if (nowMs - this.#askedAtMs > LATE_MS) {
      this.#isSeenElsewhere ||= this.endpoint !== undefined && !EndpointOf.equals(this.endpoint, mapped)
      this.#woken.openUnsafe()
    }
    if (this.#round === undefined) return
    this.#round = AddressDiscovery.received(this.#round, AddressDiscovery.defaults, from, mapped, nowMs)
    this.#heard.openUnsafe()
  }

  /**
   * Announces a node to the beacon and waits for its answer, a few seconds at most; `undefined` without a beacon or any
   * answer ever. Id 0 only asks.
   */
  announce(node: NodeId): Effect.Effect<Endpoint | undefined> {
    const beacon = this.#beacon
    if (beacon === undefined) return Effect.succeed(undefined)
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
      this.#round = AddressDiscovery.start(beacon, node, this.endpoint, nowMs())
      const config = this.endpoint === undefined ? AddressDiscovery.first : AddressDiscovery.defaults
      while (true) {
        const { next, send } = AddressDiscovery.timeout(this.#round, config, nowMs())
        this.#round = next
        this.#heard.closeUnsafe()
        if (send !== undefined) {
          this.#askedAtMs = nowMs()
          this.#socket.send(BeaconMessage.encode(send), beacon)
        }
        const dueAtMs = AddressDiscovery.deadlineMs(next)
        if (dueAtMs === undefined) return next.mapped
        yield* Effect.raceFirst(Effect.sleep(Math.max(0, dueAtMs - nowMs())), this.#heard.await)
      }
    })
  }
}

/** An answer comes within this, or is no answer. */
const LATE_MS = 3_000
