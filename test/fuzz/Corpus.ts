/** Valid inputs: generated ones, and what the golden vectors hold. */
import { readdirSync, readFileSync } from "node:fs"
import { Arbitrary, Effect } from "effect"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Json from "../../src/core/data/Json.ts"

/** Generated values as bytes, the same in each run. */
export const generated = <A>(
  arbitrary: Arbitrary.Arbitrary<A>,
  encode: (value: A) => Uint8Array
): ReadonlyArray<Uint8Array> =>
  Effect.runSync(Arbitrary.sampleEffect(Arbitrary.map(arbitrary, encode), { count: GENERATED, seed: 1 }))

/** Every byte string of the vectors that the predicate takes. */
export const vectorBytes = (isValid: (bytes: Uint8Array) => boolean): ReadonlyArray<Uint8Array> =>
  vectors()
    .filter((value) => typeof value === "string" && value.length <= 4096)
    .map((text) => Bytes.fromHex(String(text)))
    .filter((bytes) => bytes !== undefined)
    .filter(isValid)
    .slice(0, VECTORS_MAX)

/** Every JSON object of the vectors that the predicate takes, and those written as text in them, as bytes. */
export const vectorJson = (isValid: (object: Json.JsonObject) => boolean): ReadonlyArray<Uint8Array> =>
  vectors()
    .map((value) => (typeof value === "string" && value.startsWith("{") ? Json.parse(value) : value))
    .filter((value) => Json.isObject(value))
    .filter(isValid)
    .map((value) => JSON.stringify(value))
    .filter((text) => text.length <= 4096)
    .slice(0, VECTORS_MAX)
    .map(Bytes.fromUtf8)

/** Texts as bytes. */
export const texts = (...values: ReadonlyArray<string>): ReadonlyArray<Uint8Array> => values.map(Bytes.fromUtf8)

/** Values as JSON. */
export const jsons = (...values: ReadonlyArray<unknown>): ReadonlyArray<Uint8Array> =>
  values.map((value) => Bytes.fromUtf8(JSON.stringify(value)))

/** All values of all vector files, inner ones too. */
const vectors = (): ReadonlyArray<Json.Json> => (all ??= readdirSync(FOLDER).flatMap(read))

const read = (name: string): ReadonlyArray<Json.Json> =>
  inner(Json.parse(readFileSync(new URL(name, FOLDER), "utf8")) ?? null)

const inner = (value: Json.Json): ReadonlyArray<Json.Json> =>
  typeof value !== "object" || value === null
    ? [value]
    : [value, ...Object.values(value).flatMap((member) => inner(member ?? null))]

let all: ReadonlyArray<Json.Json> | undefined
const FOLDER = new URL("../vectors/", import.meta.url)
const GENERATED = 150
const VECTORS_MAX = 150
