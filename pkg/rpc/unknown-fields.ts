import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type FieldViolation, InvalidArgumentError } from "#pkg/errors/index.ts";

/**
 * Refuses a message that has fields which its schema does not know, at any depth. Binary parsers keep them in silence; but
 * a caller that sets a field which this server does not know would be told that its wish was taken in.
 * @throws InvalidArgumentError naming the message and the number of each.
 */
export function refuseUnknownFields<T extends DescMessage>(schema: T, message: MessageShape<T>): void {
  const violations: FieldViolation[] = [];
  collect(reflect(schema, message), "", violations);
  if (violations.length > 0) throw new InvalidArgumentError(violations);
}

function collect(message: ReflectMessage, path: string, violations: FieldViolation[]): void {
  for (const { no } of message.getUnknown() ?? []) {
    violations.push({ field: `${path}${no}`, description: `${message.desc.typeName} has no field ${no}` });
  }
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const name = `${path}${field.name}`;
    if (field.fieldKind === "message") collect(message.get(field), `${name}.`, violations);
    if (field.fieldKind === "list" || field.fieldKind === "map") {
      for (const item of message.get(field).values()) {
        if (isReflectMessage(item)) collect(item, `${name}.`, violations);
      }
    }
  }
}
