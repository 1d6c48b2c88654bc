/**
 * A rendezvous in one word, for configurations: `[ALIAS=]HOST:PORT[/BEACON-HOST:PORT][#FINGERPRINT]`; several are divided by
 * commas. Pure.
 */
import { Result } from "effect"
import type { Wanted } from "../membership/Memberships.ts"
import { isFingerprint, normalize } from "../registry/RegistryPins.ts"
import * as HostAddress from "./HostAddress.ts"

/** What a person calls a rendezvous: `peer@alias`. */
export const ALIAS = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/

/** Of the rendezvous of the configuration. */
export const HOME = "home"

/** Each of the words, or the sentence that says what is wrong with one. */
export const parse = (text: string): Result.Result<ReadonlyArray<Wanted>, string> =>
  Result.all(
    text
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== "")
      .map(parseOne)
  )

const parseOne = (word: string): Result.Result<Wanted, string> => {
  const match = FORM.exec(word)
  if (match === null) return Result.fail(`${word} is not [ALIAS=]HOST:PORT[/BEACON-HOST:PORT][#FINGERPRINT]`)
  const { alias, beacon, fingerprint, registry } = match.groups!
  return checked({ registry: registry!, alias, beacon, fingerprint })
}

/** The same with everything in its form, or what is wrong with it. */
export const checked = (wanted: Wanted): Result.Result<Wanted, string> => {
  const { alias, beacon, fingerprint, hostname, isPlaintext, registry } = wanted
  if (!ADDRESS.test(registry)) return Result.fail(`${registry} is not HOST:PORT`)
  if (beacon !== undefined && !ADDRESS.test(beacon)) return Result.fail(`${beacon} is not HOST:PORT`)
  if (alias !== undefined && (!ALIAS.test(alias) || alias === HOME))
    return Result.fail(`${alias} is no alias: at most 32 of a-z, 0-9 and - inside, and not ${HOME}`)
  if (fingerprint !== undefined && !isFingerprint(fingerprint))
    return Result.fail(`${fingerprint} is not the SHA-256 of a certificate: 64 hex digits`)
  if (isPlaintext === true && fingerprint !== undefined)
    return Result.fail("a registry is reached by TLS with a pin or by plain TCP, not both")
  if (hostname !== undefined && !ALIAS_OR_NAME.test(hostname)) return Result.fail(`${hostname} is not a name`)
  return Result.succeed({ ...wanted, fingerprint: fingerprint === undefined ? undefined : normalize(fingerprint) })
}

/** The beacon of a rendezvous of ours: the port after the registry's. */
export const beaconOf = ({ beacon, registry }: Wanted): string => {
  if (beacon !== undefined) return beacon
  const { port } = HostAddress.split(registry)
  return `${registry.slice(0, registry.lastIndexOf(":"))}:${port + 1}`
}

/** An alias from the host's name; `r` and the slot for one that has none. */
export const aliasOf = (registry: string, slot: number, isTaken: (alias: string) => boolean): string => {
  const { host } = HostAddress.split(registry)
  const label = /^[0-9.]+$|:/.test(host) ? "" : (host.split(".").find((part) => !GENERIC.has(part)) ?? "")
  return ALIAS.test(label) && label !== HOME && !isTaken(label) ? label : `r${slot}`
}

const GENERIC: ReadonlySet<string> = new Set(["localhost", "www", "pilot", "rendezvous", "registry"])
const ADDRESS = /^(?:[^\s:[\]/#=,@]+|\[[0-9a-fA-F:.]+\]):[1-9][0-9]{0,4}$/
const ALIAS_OR_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const FORM =
  /^(?:(?<alias>[^=/#,]+)=)?(?<registry>[^=/#,]+)(?:\/(?<beacon>[^=/#,]+))?(?:#(?<fingerprint>[0-9a-fA-F:]+))?$/
