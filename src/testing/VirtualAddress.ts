/** What the addresses of a simulated host mean, in both families. */

/** An IPv6 literal. */
export const isV6 = (host: string): boolean => host.includes(":")

/** A loopback address reaches the own host only. */
export const isLoopback = (host: string): boolean => host === "::1" || host.startsWith("127.")

/** Every address of the host, in one family. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

/** Where a host keeps the socket of an address and a port: the families have ports of their own. */
export const socketKey = (address: string, port: number): string => `${isV6(address) ? 6 : 4} ${port}`

/** What the header of IPv6 has more than that of IPv4. */
export const extraBytes = (host: string): number => (isV6(host) ? 20 : 0)
