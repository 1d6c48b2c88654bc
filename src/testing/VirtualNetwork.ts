/**
 * An internet in memory: hosts on their access links, some behind translators or chains of them, and what happens to each
 * datagram between two of them. Routing is by segments: every translator joins an inside to an outside, and the outermost
 * outside is the public network.
 */
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as EndpointText from "../core/data/Endpoint.ts"
import type { Datagram, UdpCounters } from "../core/net/UdpEndpoint.ts"
import * as Link from "./Link.ts"
import * as NatBox from "./NatBox.ts"
import type * as SeededRandom from "./SeededRandom.ts"
import type { Trace } from "./Trace.ts"
import * as VirtualAddress from "./VirtualAddress.ts"
import type { VirtualTime } from "./VirtualTime.ts"

/** Both directions of a host's access to the network. */
export interface Access {
  readonly up: Link.Link
  readonly down: Link.Link
}

/** Why a datagram went no further. */
export type Loss = Link.LossReason | "Cut" | "Filtered" | "NoRoute" | "NoSocket" | "MappingsExhausted"

/** One datagram as it left its sender, for observers. */
export interface Passage {
  readonly sender: Host
  readonly port: number
  readonly to: Endpoint
  readonly bytes: Uint8Array
}

/** One network of addresses that reach each other directly. */
export interface Segment {
  readonly prefix: string
  readonly members: Map<string, Host | Gateway>
  /** The way out; the public network has none. Set once, because each knows the other. */
  gateway: Gateway | undefined
  next: number
}

/** A translator in its place. */
export interface Gateway {
  readonly _tag: "Gateway"
  readonly box: NatBox.NatBox
  readonly inside: Segment
  readonly outside: Segment
  /** Its address outside. */
  address: string
}

/** An open UDP socket of a host. */
export interface BoundSocket {
  readonly address: string
  readonly port: number
  readonly counters: UdpCounters
  receive: (batch: ReadonlyArray<Datagram>) => void
  pending: Array<Datagram>
}

/** One machine. It has both families; its segment is that of IPv4, since IPv6 has no translators. */
export interface Host {
  readonly _tag: "Host"
  readonly name: string
  segment: Segment
  address: string
  address6: string
  access: Access
  /** Changes when the address does, or the machine stops: what was open before is gone. */
  epoch: number
  isCut: boolean
  /** Its access lets no UDP through, as that of many hotels and companies. */
  isUdpBlocked: boolean
  isOff: boolean
  /** Open at one time; more are refused. */
  socketsMax: number
  readonly queues: { readonly up: Link.LinkState; readonly down: Link.LinkState }
  /** By `socketKey`: the families have ports of their own. */
  readonly sockets: Map<string, BoundSocket>
}

/** Mutable; one for each simulated world. */
export class VirtualNetwork {
  readonly time: VirtualTime
  readonly random: SeededRandom.SeededRandom
  readonly trace: Trace
  readonly public: Segment = { prefix: "198.18", members: new Map(), gateway: undefined, next: 1 }
  /** All hosts are on it, those behind translators of IPv4 too. */
  readonly public6: Segment = { prefix: "2001:db8:", members: new Map(), gateway: undefined, next: 1 }
  /** Datagrams lost so far, by reason. */
  readonly losses = new Map<Loss, number>()
  readonly #taps: Array<(passage: Passage) => void> = []
  readonly #hosts: Array<Host> = []
  readonly #partitions = new Set<string>()
  /** Only there once something was forged. */
  #attacker: Host | undefined
  #segments = 0
  #flights = 0

  constructor(time: VirtualTime, random: SeededRandom.SeededRandom, trace: Trace) {
    this.time = time
    this.random = random
    this.trace = trace
  }

  /** Datagrams under way. */
  get flights(): number {
    return this.#flights
  }

  /** Open UDP sockets. */
  get sockets(): number {
    return this.#hosts.reduce((sum, host) => sum + host.sockets.size, 0)
  }

  /** A host on a segment. */
  addHost(name: string, segment: Segment, access: Access): Host {
    const queues = { up: Link.idle(), down: Link.idle() }
    const state = { address: "", address6: "", epoch: 0, isCut: false, isUdpBlocked: false, isOff: false }
    const socketsMax = Number.POSITIVE_INFINITY
    const host: Host = { _tag: "Host", name, segment, access, ...state, socketsMax, queues, sockets: new Map() }
    this.#hosts.push(host)
    this.#join(host, segment)
    this.#join6(host)
    return host
  }

  /** A translator on a segment; the result is its inside. */
  addNat(config: NatBox.Config, outside: Segment = this.public): Segment {
    const box = new NatBox.NatBox(config, this.random)
    const number = ++this.#segments
    const inside: Segment = { prefix: `10.${number & 0xff}`, members: new Map(), gateway: undefined, next: 1 }
    inside.gateway = { _tag: "Gateway", box, inside, outside, address: "" }
    this.#join(inside.gateway, outside)
    return inside
  }

  /** Gives a host a new address, on another segment or its own. */
  move(host: Host, segment: Segment): void {
    host.segment.members.delete(host.address)
    this.public6.members.delete(host.address6)
    host.epoch++
    host.segment = segment
    this.#join(host, segment)
    this.#join6(host)
  }

  /** Gives a translator a new outside address and forgets its mappings. */
  renumber(gateway: Gateway): void {
    gateway.outside.members.delete(gateway.address)
    gateway.box.reset()
    this.#join(gateway, gateway.outside)
  }

  /** Shows every datagram that a host sends, also those that will be lost. */
  tap(observe: (passage: Passage) => void): void {
    this.#taps.push(observe)
  }

  /** Stops a machine: its sockets are gone, and nothing reaches it until it is switched on. */
  switchOff(host: Host): void {
    host.isOff = true
    host.epoch++
    host.sockets.clear()
  }

  /** Starts a machine, with nothing open. */
  switchOn(host: Host): void {
    host.isOff = false
    host.epoch++
  }

  /** Cuts what is between the hosts of both groups, until `healAll`. */
  partition(some: ReadonlyArray<Host>, others: ReadonlyArray<Host>): void {
    for (const a of some) for (const b of others) this.#partitions.add(pair(a, b)).add(pair(b, a))
  }

  /** Cuts what goes from one group to the other, until `healAll`. */
  block(senders: ReadonlyArray<Host>, receivers: ReadonlyArray<Host>): void {
    for (const a of senders) for (const b of receivers) this.#partitions.add(pair(a, b))
  }

  /** Ends all cuts and partitions. */
  healAll(): void {
    this.#partitions.clear()
    for (const host of this.#hosts) host.isCut = false
  }

  /** Whether anything can pass between two hosts now. */
  isConnected(a: Host, b: Host): boolean {
    return a === b || !(a.isCut || b.isCut || a.isOff || b.isOff || this.#partitions.has(pair(a, b)))
  }

  /** Which host a connection to an address reaches, and as whom the host sees the caller; none behind a translator. */
  reach(from: Host, address: string): { readonly host: Host; readonly as: string } | undefined {
    if (VirtualAddress.isLoopback(address)) return { host: from, as: address }
    let { address: as, segment } = VirtualAddress.isV6(address)
      ? { address: from.address6, segment: this.public6 }
      : from
    while (true) {
      const member = segment.members.get(address)
      if (member !== undefined) return member._tag === "Host" ? { host: member, as } : undefined
      if (segment.gateway === undefined) return undefined
      as = segment.gateway.address
      segment = segment.gateway.outside
    }
  }

  /** Sends one datagram from a host's port. */
  send(host: Host, port: number, to: Endpoint, bytes: Uint8Array): void {
    for (const observe of this.#taps) observe({ sender: host, port, to, bytes })
    this.trace.record(`${host.name}:${port} > ${EndpointText.format(to)} ${bytes.length}`, bytes)
    if (VirtualAddress.isLoopback(to.host) || to.host === host.address || to.host === host.address6) {
      const from = { host: to.host, port }
      this.time.defer(() => this.#deliver(host, host.epoch, to, { bytes, from }))
      return
    }
    const [segment, address] = VirtualAddress.isV6(to.host)
      ? [this.public6, host.address6]
      : [host.segment, host.address]
    const packet: Packet = { sender: host, segment, from: { host: address, port }, to, bytes }
    if (host.isCut || host.isUdpBlocked) return this.#lose(packet, "Cut")
    this.#through(host.access.up, host.queues.up, packet, () => this.#route(packet))
  }

  /** A datagram with any sender's address appears on the public network, as from somebody who can forge addresses. */
  inject(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    this.#attacker ??= this.addHost("attacker", this.public, { up: Link.PERFECT, down: Link.PERFECT })
    this.trace.record(`forged ${EndpointText.format(from)} > ${EndpointText.format(to)} ${bytes.length}`, bytes)
    const segment = VirtualAddress.isV6(to.host) ? this.public6 : this.public
    this.#route({ sender: this.#attacker, segment, from, to, bytes })
  }

  #through(link: Link.Link, queue: Link.LinkState, packet: Packet, arrive: () => void): void {
    const fate = Link.transmit(
      link,
      queue,
      packet.bytes.length + VirtualAddress.extraBytes(packet.to.host),
      this.time.nowMs,
      this.random
    )
    if (fate._tag === "Lost") return this.#lose(packet, fate.reason)
    for (const delayMs of fate.delaysMs) {
      if (this.#flights >= FLIGHTS_MAX) return this.#lose(packet, "QueueFull")
      this.#flights++
      this.time.at(this.time.nowMs + delayMs, () => {
        this.#flights--
        arrive()
      })
    }
  }

  /** From the sender's link to the receiver's: out through translators, then in through others. */
  #route(sent: Packet): void {
    let packet = sent
    while (true) {
      const { segment, to } = packet
      const member = segment.members.get(to.host)
      if (member?._tag === "Host") return this.#arrive(packet, member)
      const next = member === undefined ? this.#outwards(packet) : this.#inwards(packet, member)
      if (typeof next === "string") return this.#lose(packet, next)
      packet = next
    }
  }

  #outwards(packet: Packet): Packet | Loss {
    const { gateway } = packet.segment
    if (gateway === undefined) return "NoRoute"
    const isInside = packet.to.host === gateway.address
    const port = isInside
      ? gateway.box.hairpin(packet.from, packet.to, this.time.nowMs)
      : gateway.box.outbound(packet.from, packet.to, this.time.nowMs)
    if (port === undefined) return isInside ? "Filtered" : "MappingsExhausted"
    const from = { host: gateway.address, port }
    return { ...packet, from, segment: gateway.outside }
  }

  #inwards(packet: Packet, gateway: Gateway): Packet | Loss {
    const to = gateway.box.inbound(packet.to.port, packet.from, this.time.nowMs)
    return to === undefined ? "Filtered" : { ...packet, to, segment: gateway.inside }
  }

  #arrive(packet: Packet, host: Host): void {
    if (host.isUdpBlocked || !this.isConnected(packet.sender, host)) return this.#lose(packet, "Cut")
    const { epoch } = host
    this.#through(host.access.down, host.queues.down, packet, () => {
      if (!this.isConnected(packet.sender, host)) return this.#lose(packet, "Cut")
      this.#deliver(host, epoch, packet.to, { bytes: packet.bytes.slice(), from: packet.from })
    })
  }

  /** What arrives in one turn reaches the socket as one batch. */
  #deliver(host: Host, epoch: number, to: Endpoint, datagram: Datagram): void {
    const socket = host.sockets.get(VirtualAddress.socketKey(to.host, to.port))
    if (host.epoch !== epoch || socket === undefined || !accepts(socket, to.host)) {
      return this.#count("NoSocket", host.name)
    }
    socket.counters.receivedDatagrams++
    socket.counters.receivedBytes += datagram.bytes.length
    if (socket.pending.push(datagram) > 1) return
    this.time.defer(() => {
      const batch = socket.pending
      socket.pending = []
      if (host.sockets.get(VirtualAddress.socketKey(socket.address, socket.port)) === socket) socket.receive(batch)
    })
  }

  #lose(packet: Packet, reason: Loss): void {
    this.#count(reason, `${packet.sender.name} > ${EndpointText.format(packet.to)}`)
  }

  #count(reason: Loss, what: string): void {
    this.losses.set(reason, (this.losses.get(reason) ?? 0) + 1)
    this.trace.record(`${what} lost: ${reason}`)
  }

  #join6(host: Host): void {
    host.address6 = `${this.public6.prefix}:${(this.public6.next++).toString(16)}`
    this.public6.members.set(host.address6, host)
  }

  #join(member: Host | Gateway, segment: Segment): void {
    const number = segment.next++
    member.address = `${segment.prefix}.${(number >> 8) & 0xff}.${number & 0xff}`
    segment.members.set(member.address, member)
  }
}

/** On its way; the addresses are those of the segment where it is now. */
interface Packet {
  readonly sender: Host
  readonly segment: Segment
  readonly from: Endpoint
  readonly to: Endpoint
  readonly bytes: Uint8Array
}

/** A socket bound to one address hears what came for it; one bound to all hears everything. */
const accepts = (socket: BoundSocket, host: string): boolean =>
  VirtualAddress.isWildcard(socket.address) ||
  socket.address === host ||
  (VirtualAddress.isLoopback(socket.address) && VirtualAddress.isLoopback(host))

const pair = (a: Host, b: Host): string => `${a.name} ${b.name}`

/** Datagrams under way at one time; more are lost, as in any network. */
export const FLIGHTS_MAX = 262_144
