/**
 * Where a webhook may go. The operator's own URL names a host: a literal address or `localhost` is taken at its word; a name
 * may lead to the public internet only, or where the operator says besides, whatever it leads to when it is asked again.
 */
import { Result } from "effect"
import * as AddressScope from "../../core/data/AddressScope.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"

/** A URL that requests may be sent to. */
export interface WebhookTarget {
  readonly url: string
  /** Whether a request may be sent to this address, once the name was looked up. */
  readonly admits: (address: string) => boolean
}

/** Longest URL. */
export const URL_CHARACTERS_MAX = 2048

/** Reads a URL, and blocks of addresses that its name may lead to; the failure is a sentence. */
export const parse = (text: string, allowed: ReadonlyArray<string> = []): Result.Result<WebhookTarget, string> => {
  if (!/^https?:\/\//.test(text)) return Result.fail("webhook URL must start with http:// or https://")
  if (text.length > URL_CHARACTERS_MAX || !URL.canParse(text)) return Result.fail("webhook URL is not a URL")
  const { hash, hostname, password, username } = new URL(text)
  if (username !== "" || password !== "") return Result.fail("webhook URL must not hold a name or a password")
  if (hash !== "") return Result.fail("webhook URL must not have a fragment")
  const blocks: Array<AddressScope.Block> = []
  for (const one of allowed) {
    const block = AddressScope.parseBlock(one)
    if (block === undefined) return Result.fail(`not a block of addresses: ${JSON.stringify(one)}`)
    blocks.push(block)
  }
  const host = hostname.replace(/^\[|\]$/g, "")
  const literal = IpAddress.canonical(host)
  return Result.succeed({ url: text, admits: (address) => admits(host, literal, blocks, address) })
}

const admits = (
  host: string,
  literal: string | undefined,
  blocks: ReadonlyArray<AddressScope.Block>,
  address: string
): boolean => {
  const bytes = IpAddress.parse(address)
  if (bytes === undefined) return false
  if (literal !== undefined) return IpAddress.format(bytes) === literal
  if (host === "localhost" && LOOPBACK.some((block) => AddressScope.isWithin(bytes, block))) return true
  return AddressScope.isPublic(address) || blocks.some((block) => AddressScope.isWithin(bytes, block))
}

const LOOPBACK: ReadonlyArray<AddressScope.Block> = [
  { prefix: Uint8Array.of(127, 0, 0, 0), bits: 8 },
  { prefix: new Uint8Array(16).fill(1, 15), bits: 128 }
]
