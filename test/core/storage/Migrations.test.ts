import { layer } from "@effect/vitest"
import { Layer } from "effect"
import * as MigrationsSuite from "../../support/MigrationsSuite.ts"
import * as StorageEngine from "../../support/StorageEngine.ts"

layer(Layer.empty)("Migrations", (it) => MigrationsSuite.run(it, StorageEngine.sqlite))
