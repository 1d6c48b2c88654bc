/**
 * Translators made of nftables: what each kind does to UDP, as rules of one box between `lan` and `wan`. All leave TCP alone,
 * as a port-restricted one translates it. RFC 4787 has the terms for mapping and filtering.
 */

/** The kinds that a host can be behind. */
export const KINDS = [
  "open",
  "full cone",
  "address-restricted",
  "port-restricted",
  "symmetric",
  "two levels",
  "UDP blocked"
] as const

/** One of them. */
export type Kind = (typeof KINDS)[number]

/** What the world sees of a kind: to whom a mapping is the same, and whose datagrams it lets in. */
export interface Behaviour {
  readonly mapping: "endpoint-independent" | "endpoint-dependent" | "blocked"
  readonly filtering: "none" | "address" | "port" | "blocked"
}

/** What is claimed of each kind, and checked before anything is measured. */
export const BEHAVIOUR: Readonly<Record<Kind, Behaviour>> = {
  open: { mapping: "endpoint-independent", filtering: "none" },
  "full cone": { mapping: "endpoint-independent", filtering: "none" },
  "address-restricted": { mapping: "endpoint-independent", filtering: "address" },
  "port-restricted": { mapping: "endpoint-independent", filtering: "port" },
  symmetric: { mapping: "endpoint-dependent", filtering: "port" },
  "two levels": { mapping: "endpoint-independent", filtering: "port" },
  "UDP blocked": { mapping: "blocked", filtering: "blocked" }
}

/**
 * What theory allows for a pair (RFC 5128 §3): nothing where UDP is blocked; where one side's mappings depend on the other end,
 * only an end that lets in whoever comes; everything else. Prediction and guessing of ports (`guess`) are no certainty.
 */
export const theory = (a: Kind, b: Kind): "direct" | "guess" | "relay" => {
  if ([a, b].includes("UDP blocked")) return "relay"
  const [one, other] = [BEHAVIOUR[a], BEHAVIOUR[b]]
  const isReached = (from: Behaviour, to: Behaviour) =>
    from.mapping === "endpoint-independent" || to.filtering === "none" || to.filtering === "address"
  return isReached(one, other) && isReached(other, one) ? "direct" : "guess"
}

/** Addresses of one box. */
export interface Addresses {
  /** On the side of the world. */
  readonly wan: string
  /** The host behind it. */
  readonly host: string
}

/** The rules of a box, for `nft -f`. */
export const rules = (kind: Exclude<Kind, "open" | "two levels">, { host, wan }: Addresses): string => {
  const persistent = [
    `chain pre { type nat hook prerouting priority dstnat; iifname "wan" udp dport 1024-65535 dnat to ${host}; }`,
    `chain post { type nat hook postrouting priority srcnat; oifname "wan" snat to ${wan}; }`
  ]
  const masquerade = (flags: string) =>
    `chain post { type nat hook postrouting priority srcnat; oifname "wan" meta l4proto udp masquerade ${flags}; oifname "wan" masquerade; }`
  const parts = {
    // Linux keeps the port of the host, so with all ports forwarded to it mapping and filtering are independent.
    "full cone": persistent,
    // The same, but a stranger's first datagram is let in only to a port from which its address was spoken to.
    "address-restricted": [
      "set spoken { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 2m; }",
      ...persistent,
      `chain forward { type filter hook forward priority filter;
        iifname "lan" meta l4proto udp update @spoken { ip daddr . udp sport };
        iifname "wan" meta l4proto udp ct state new ip saddr . udp dport != @spoken drop; }`
    ],
    "port-restricted": [masquerade(""), CLOSED],
    symmetric: [masquerade("fully-random"), CLOSED],
    "UDP blocked": [
      masquerade(""),
      `chain forward { type filter hook forward priority filter; meta l4proto udp drop; }`,
      CLOSED
    ]
  } as const
  return `table ip box {\n${parts[kind].join("\n")}\n}\n`
}

/**
 * A box with several hosts behind it, a full cone for each: a port of the outside is whose who sent from it last. With `hairpin` that
 * holds for those inside as well.
 */
export const household = ({
  hairpin,
  inside,
  wan
}: {
  readonly hairpin: boolean
  /** Their network. */
  readonly inside: string
  readonly wan: string
}): string => {
  const parts = [
    "map owner { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 2m; }",
    `chain pre { type nat hook prerouting priority dstnat;
      ${hairpin ? "" : 'iifname "wan"'} ip daddr ${wan} meta l4proto udp dnat to udp dport map @owner; }`,
    `chain post { type nat hook postrouting priority srcnat;
      ip saddr ${inside} meta l4proto udp update @owner { udp sport : ip saddr };
      ${hairpin ? `ip saddr ${inside} oifname "lan" meta l4proto udp snat to ${wan};` : ""}
      oifname "wan" snat to ${wan}; }`
  ]
  return `table ip box {\n${parts.join("\n")}\n}\n`
}

/**
 * What comes first from outside is dropped before it is tracked: else a peer's early punch would occupy the port, and the host's
 * own punch would leave from another one.
 */
const CLOSED = `chain input { type filter hook input priority filter; iifname "wan" meta l4proto udp drop; }`
