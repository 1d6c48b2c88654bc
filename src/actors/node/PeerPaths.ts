/**
 * How one peer's frames reach the network: by the path `PathSelector` prefers, held back where an unproven path has no
 * budget, wrapped where the beacon relays them.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Path from "../../nat/Path.ts"
import { PathSelector } from "../../nat/PathSelector.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import type { Packet } from "../../protocol/wire/Packet.ts"
import type { NodeContext } from "./NodeContext.ts"

/** Owned by a peer's actor. */
export class PeerPaths {
  readonly selector: PathSelector
  readonly #context: NodeContext
  readonly #node: NodeId
  #held: Array<Bytes.Pieces> = []
  #searchedAtMs = Number.NEGATIVE_INFINITY
  #punchedAtMs = Number.NEGATIVE_INFINITY

  constructor(context: NodeContext, node: NodeId) {
    this.#context = context
    this.#node = node
    this.selector = new PathSelector(context.address.node < node)
    if (context.beacon !== undefined) this.selector.learn(Path.relay)
  }

  /** Sends a sealed frame by the best path; held while that has no budget (security rule 7). A challenge goes by its own. */
  transmit(frame: Bytes.Pieces, wanted: Path.Path | undefined, nowMs: number): void {
    if (wanted !== undefined) return this.challenge(frame, wanted)
    const path = this.selector.select(nowMs)
    if (path !== undefined && this.selector.spend(path, Bytes.lengthOf(frame), nowMs)) this.write(frame, path)
    else if (this.#held.length < HELD_MAX) this.#held.push(frame)
    else this.#context.report({ _tag: "PacketDropped", reason: "QueueFull", peer: this.#node })
  }

  /** The peer in the network of this node. */
  get peer(): Address {
    return { network: this.#context.address.network, node: this.#node }
  }

  /** A ping that asks whether a path works. */
  get probePacket(): Packet {
    return ControlMessage.pathProbe(this.#context.address, this.peer)
  }

  /** When to ask on all paths who is there: now and then while the one in use leaves frames unanswered, else never. */
  get searchAtMs(): number {
    return Math.max(this.selector.silentFromMs, this.#searchedAtMs + SEARCH_INTERVAL_MS)
  }

  /** It was asked on all paths. */
  searched(nowMs: number): void {
    this.#searchedAtMs = nowMs
  }

  /** Tries what is held again, in order. */
  release(nowMs: number): void {
    if (this.#held.length === 0) return
    const held = this.#held
    this.#held = []
    for (const frame of held) this.transmit(frame, undefined, nowMs)
  }

  /**
   * Sends a key exchange or a challenge: by one path, to whoever is there, or by all, because it finds out which of them
   * work. Lost where an unproven path has no budget (security rule 7).
   */
  challenge(frame: Bytes.Pieces, path: Path.Path | undefined): void {
    if (path === undefined) for (const asked of this.selector.toAsk(Bytes.lengthOf(frame))) this.write(frame, asked)
    else if (this.selector.mayAnswer(path, Bytes.lengthOf(frame))) this.write(frame, path)
  }

  /** Asks the peer, through the beacon, to open its translator for us while our key exchange is on its way (rendezvous §8). */
  punch(nowMs: number): void {
    const { address, beacon, socket } = this.#context
    if (beacon === undefined || nowMs - this.#punchedAtMs < PUNCH_INTERVAL_MS) return
    this.#punchedAtMs = nowMs
    socket.send(BeaconMessage.encodePunchRequest(address.node, this.#node), beacon)
  }

  /** Sends without asking for budget. */
  write(frame: Bytes.Pieces, path: Path.Path): void {
    const { address, beacon, socket } = this.#context
    if (path.endpoint !== undefined) socket.send(frame, path.endpoint)
    else if (beacon !== undefined)
      socket.send(BeaconMessage.encodeRelay(address.node, this.#node, Bytes.join(frame)), beacon)
  }
}

/** Between two rounds of asking on every path: three small frames each. */
const SEARCH_INTERVAL_MS = 1_000
/** As often as a beacon passes it on for one source (rendezvous §8). */
const PUNCH_INTERVAL_MS = 1_000
/** Sealed frames waiting for budget: as many as packets may wait for a key (wire §8). */
const HELD_MAX = 64
