/**
 * The text of `pins.json`, ours alone:
 *
 * ```
 * {"nodes": [{"node_id": 1, "public_key": "<base64>"}],
 *  "names": [{"name": "alpha", "public_key": "<base64>"}],
 *  "later_only": [{"public_key": "<base64>"}]}
 * ```
 *
 * `later_only` may be missing: it is younger than the rest.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import { PUBLIC_KEY_BYTES } from "../../protocol/trust/HandshakeCheck.ts"
import type * as PinTable from "../../protocol/trust/PinTable.ts"
import { NodeId } from "../../protocol/wire/Address.ts"

/**
 * Reads the text, oldest pin first. `undefined` when any part of it is not as written: a pin that is lost would let the
 * next best key take its place, so a damaged file is for a person to look at.
 */
export const decode = (text: string): PinTable.PinTable | undefined => {
  const file = Json.parseObject(text)
  const nodes = file && pinsOf(file, "nodes", nodeOf)
  const names = file && pinsOf(file, "names", nameOf)
  const laterOnly =
    file && pinsOf({ later_only: [], ...file }, "later_only", (row) => Json.string(row, "public_key") || undefined)
  return (
    nodes && names && laterOnly && { nodes, names, laterOnly: new Set(Array.from(laterOnly.values(), Bytes.toHex)) }
  )
}

/** Writes the text, two-space indented. */
export const encode = (table: PinTable.PinTable): string =>
  GoJson.encodeOrderedIndented({
    nodes: [...table.nodes].map(([node, key]) => ({
      node_id: node,
      public_key: Bytes.toBase64(key)
    })),
    names: [...table.names].map(([name, key]) => ({ name, public_key: Bytes.toBase64(key) })),
    later_only: [...table.laterOnly].map((key) => ({ public_key: Bytes.toBase64(Bytes.fromHex(key) ?? Bytes.empty) }))
  })

/** The pins of a list, `undefined` when any is not as written. */
const pinsOf = <K>(
  file: Json.JsonObject,
  list: string,
  subjectOf: (row: Json.JsonObject) => K | undefined
): ReadonlyMap<K, Uint8Array> | undefined => {
  const rows = Json.objects(file, list)
  const pins = new Map<K, Uint8Array>()
  for (const row of rows) {
    const subject = subjectOf(row)
    const publicKey = Bytes.fromBase64(Json.string(row, "public_key"))
    if (subject === undefined || publicKey?.length !== PUBLIC_KEY_BYTES) return undefined
    pins.set(subject, publicKey)
  }
  const isWhole = Array.isArray(Json.member(file, list)) && rows.length === Json.list(file, list).length
  return isWhole ? pins : undefined
}

const nodeOf = (row: Json.JsonObject): NodeId | undefined => {
  const node = Json.member(row, "node_id")
  return typeof node === "number" && NodeId(node) === node ? NodeId(node) : undefined
}

const nameOf = (row: Json.JsonObject): string | undefined => Json.string(row, "name") || undefined
