/**
 * A public network with a rendezvous, and homes behind translators, all at once. Every home has the same private addresses, as
 * homes do.
 */
import { Effect } from "effect"
import type * as Namespaces from "./Namespaces.ts"
import { host } from "./Namespaces.ts"
import * as NatBox from "./NatBox.ts"

/** Where the rendezvous is: two addresses, as a beacon wants for finding out what a translator does. */
export const RENDEZVOUS = ["198.51.100.1", "198.51.100.2"] as const
/** The same machine, for those who have no IPv4. */
export const RENDEZVOUS_V6 = "2001:db8::1"

/** A home. */
export interface Home {
  readonly kind: NatBox.Kind
  readonly host: Namespaces.Host
  /** The box next to the public network: the host itself where there is none. */
  readonly box: Namespaces.Host
  readonly wan: string
}

/** The network; `home` adds one. */
export const make = Effect.gen(function* () {
  const net = yield* host(RENDEZVOUS[0])
  yield* script(
    net,
    // Of its own: else it takes the lowest of its cables, and with a new cable all others send to an address that is gone.
    "ip link add public address 02:00:00:00:00:01 type bridge",
    ...RENDEZVOUS.map((address) => `ip address add ${address}/24 dev public`),
    `ip address add ${RENDEZVOUS_V6}/64 dev public nodad`,
    "ip link set public up"
  )
  let homes = 0
  /** A cable from the public network to `wan` of a box; which one it is. */
  const cabled = Effect.fnUntraced(function* (box: Namespaces.Host) {
    const index = ++homes
    yield* script(
      net,
      `ip link add wan${index} type veth peer name wan netns ${box.pid}`,
      `ip link set wan${index} master public up`
    )
    return index
  })
  const attached = Effect.fnUntraced(function* (box: Namespaces.Host) {
    const wan = `198.51.100.${(yield* cabled(box)) + 9}`
    yield* addressed(box, `${wan}/24`, RENDEZVOUS[0])
    return wan
  })
  const home = Effect.fnUntraced(function* (kind: Exclude<NatBox.Kind, "two levels">) {
    const inside = yield* host(INSIDE)
    if (kind === "open") return { kind, host: inside, box: inside, wan: yield* attached(inside) } satisfies Home
    const box = yield* host("")
    const wan = yield* attached(box)
    yield* behind(box, inside, `${INSIDE_BOX}/24`, INSIDE)
    yield* ruled(box, NatBox.rules(kind, { wan, host: INSIDE }))
    return { kind, host: inside, box, wan } satisfies Home
  })
  /** A home whose provider translates as well. */
  const carried = Effect.fnUntraced(function* () {
    const [carrier, box, inside] = [yield* host(""), yield* host(""), yield* host(INSIDE)]
    const wan = yield* attached(carrier)
    yield* behind(carrier, box, "100.64.0.1/24", "100.64.0.2", "wan")
    yield* behind(box, inside, `${INSIDE_BOX}/24`, INSIDE)
    yield* ruled(carrier, NatBox.rules("port-restricted", { wan, host: "100.64.0.2" }))
    yield* ruled(box, NatBox.rules("port-restricted", { wan: "100.64.0.2", host: INSIDE }))
    return { kind: "two levels", host: inside, box: carrier, wan } satisfies Home
  })
  /** Gives a host an address of IPv6 on the public network. */
  const joinedBySix = Effect.fnUntraced(function* (inside: Namespaces.Host) {
    const address = `2001:db8::${(yield* cabled(inside)) + 9}`
    yield* script(
      inside,
      `ip address add ${address}/64 dev wan nodad`,
      "ip link set wan up",
      `ip route add default via ${RENDEZVOUS_V6}`
    )
    return inside
  })
  /** A host on the public network that has no address of IPv4. */
  const sixOnly = Effect.flatMap(host(""), joinedBySix)
  /** A host behind a translator of IPv4, with an address of IPv6 besides. */
  const both = (kind: Exclude<NatBox.Kind, "two levels" | "open">) =>
    Effect.flatMap(home(kind), ({ host }) => joinedBySix(host))
  /** Two hosts behind one box. */
  const household = Effect.gen(function* () {
    const [box, one, other] = [yield* host(""), yield* host(INSIDE), yield* host(INSIDE_OTHER)]
    const wan = yield* attached(box)
    yield* script(
      box,
      "echo 1 > /proc/sys/net/ipv4/ip_forward",
      // Where the kernel has it, bridged frames would be translated as well, and not come back by the cable they came by.
      "if [ -e /proc/sys/net/bridge ]; then echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi",
      "ip link add lan address 02:00:00:00:00:02 type bridge",
      `ip address add ${INSIDE_BOX}/24 dev lan`,
      "ip link set lan up"
    )
    for (const [index, inside] of [one, other].entries()) {
      yield* script(
        box,
        `ip link add port${index} type veth peer name home netns ${inside.pid}`,
        `ip link set port${index} master lan up`
      )
      yield* addressed(inside, `${inside.ip}/24`, INSIDE_BOX, "home")
    }
    /** Whether they see each other by their own addresses, as not in a guest network, and by those of the box. */
    const become = ({ apart, hairpin }: { readonly apart: boolean; readonly hairpin: boolean }) =>
      Effect.andThen(
        script(
          box,
          "nft flush ruleset",
          ...[0, 1].map((index) => `bridge link set dev port${index} isolated ${apart ? "on" : "off"}`)
        ),
        ruled(box, NatBox.household({ hairpin, inside: `${INSIDE_BOX}/24`, wan }))
      )
    return { hosts: [one, other] as const, wan, become }
  })
  /** A second provider for a host, with a box of its own: `take` goes over to it, as if the first one's cable were drawn. */
  const uplink = Effect.fnUntraced(function* (inside: Namespaces.Host) {
    const box = yield* host("")
    const wan = yield* attached(box)
    yield* script(
      box,
      "echo 1 > /proc/sys/net/ipv4/ip_forward",
      `ip link add lan type veth peer name mobile netns ${inside.pid}`,
      `ip address add ${MOBILE_BOX}/24 dev lan`,
      "ip link set lan up"
    )
    yield* ruled(box, NatBox.rules("port-restricted", { wan, host: MOBILE }))
    const take = script(
      inside,
      "ip link set home down",
      `ip address replace ${MOBILE}/24 dev mobile`,
      "ip link set mobile up",
      `ip route replace default via ${MOBILE_BOX}`
    )
    const leave = script(
      inside,
      "ip link set mobile down",
      "ip link set home up",
      `ip route replace default via ${INSIDE_BOX}`
    )
    return { box, take, leave }
  })
  return {
    net,
    sixOnly,
    both,
    household,
    uplink,
    home: (kind: NatBox.Kind) => (kind === "two levels" ? carried() : home(kind))
  }
})

/** Loads rules for `nft` into a namespace. */
export const ruled = (where: Namespaces.Host, rules: string) => where.run("nft", rules)

/** A cable from `lan` of a box to the host behind it. */
const behind = Effect.fnUntraced(function* (
  box: Namespaces.Host,
  inside: Namespaces.Host,
  near: string,
  far: string,
  interfaceName = "home"
) {
  yield* script(
    box,
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    `ip link add lan type veth peer name ${interfaceName} netns ${inside.pid}`,
    `ip address add ${near} dev lan`,
    "ip link set lan up"
  )
  yield* addressed(inside, `${far}/24`, near.replace(/\/.*/, ""), interfaceName)
})

const addressed = (where: Namespaces.Host, address: string, gateway: string, interfaceName = "wan") =>
  script(
    where,
    `ip address add ${address} dev ${interfaceName}`,
    `ip link set ${interfaceName} up`,
    `ip route add default via ${gateway}`
  )

const script = (where: Namespaces.Host, ...lines: ReadonlyArray<string>) => where.run("sh", "-ec", lines.join("\n"))

const INSIDE = "192.168.1.2"
const INSIDE_OTHER = "192.168.1.3"
const INSIDE_BOX = "192.168.1.1"
const MOBILE = "10.20.30.40"
const MOBILE_BOX = "10.20.30.1"
