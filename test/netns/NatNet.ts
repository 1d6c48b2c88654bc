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
    "ip link add public type bridge",
    ...RENDEZVOUS.map((address) => `ip address add ${address}/24 dev public`),
    "ip link set public up"
  )
  let homes = 0
  /** A cable from the public network to `wan` of a box. */
  const attached = Effect.fnUntraced(function* (box: Namespaces.Host) {
    const index = ++homes
    const wan = `198.51.100.${index + 9}`
    yield* script(
      net,
      `ip link add wan${index} type veth peer name wan netns ${box.pid}`,
      `ip link set wan${index} master public up`
    )
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
  return { net, home: (kind: NatBox.Kind) => (kind === "two levels" ? carried() : home(kind)) }
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
const INSIDE_BOX = "192.168.1.1"
