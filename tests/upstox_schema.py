"""The schema of Upstox's market data feed, version 3, as a table, and protobuf classes made from it.

A pool of its own: the vendor's client registers a file of the same name in the default one.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "com.upstox.marketdatafeederv3udapi.rpc.proto"

ENUMS = {
    "Type": ["initial_feed", "live_feed", "market_info"],
    "RequestMode": ["ltpc", "full_d5", "option_greeks", "full_d30"],
    "MarketStatus": [
        "PRE_OPEN_START", "PRE_OPEN_END", "NORMAL_OPEN", "NORMAL_CLOSE", "CLOSING_START", "CLOSING_END",
    ],
}  # fmt: skip

# name -> (number, type); "*" repeated, "|" of the message's oneof, "{}" a map from strings. What the closing auction
# brought later (iep and what follows it, casMarketStatus, preOpenSessionStatus) nobody here reads.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "DoubleValue": {"value": (1, "double")},
    "StatusInfo": {"status": (1, "string"), "updatedTime": (2, "int64")},
    "LTPC": {
        "ltp": (1, "double"), "ltt": (2, "int64"), "ltq": (3, "int64"), "cp": (4, "double"), "iep": (5, "DoubleValue"),
    },
    "Quote": {"bidQ": (1, "int64"), "bidP": (2, "double"), "askQ": (3, "int64"), "askP": (4, "double")},
    "MarketLevel": {"bidAskQuote": (1, "*Quote")},
    "OHLC": {
        "interval": (1, "string"), "open": (2, "double"), "high": (3, "double"), "low": (4, "double"),
        "close": (5, "double"), "vol": (6, "int64"), "ts": (7, "int64"),
    },
    "MarketOHLC": {"ohlc": (1, "*OHLC")},
    "OptionGreeks": {
        name: (number, "double") for number, name in enumerate(("delta", "theta", "gamma", "vega", "rho"), start=1)
    },
    "MarketFullFeed": {
        "ltpc": (1, "LTPC"), "marketLevel": (2, "MarketLevel"), "optionGreeks": (3, "OptionGreeks"),
        "marketOHLC": (4, "MarketOHLC"), "atp": (5, "double"), "vtt": (6, "int64"), "oi": (7, "double"),
        "iv": (8, "double"), "tbq": (9, "double"), "tsq": (10, "double"), "iep": (11, "double"), "rp": (12, "double"),
        "ieq": (13, "int64"), "iiqTotal": (14, "int64"), "iiqM": (15, "int64"), "casEligible": (16, "int64"),
    },
    "IndexFullFeed": {"ltpc": (1, "LTPC"), "marketOHLC": (2, "MarketOHLC")},
    "FullFeed": {"marketFF": (1, "|MarketFullFeed"), "indexFF": (2, "|IndexFullFeed")},
    "FirstLevelWithGreeks": {
        "ltpc": (1, "LTPC"), "firstDepth": (2, "Quote"), "optionGreeks": (3, "OptionGreeks"), "vtt": (4, "int64"),
        "oi": (5, "double"), "iv": (6, "double"),
    },
    "Feed": {
        "ltpc": (1, "|LTPC"), "fullFeed": (2, "|FullFeed"), "firstLevelWithGreeks": (3, "|FirstLevelWithGreeks"),
        "requestMode": (4, "RequestMode"),
    },
    "MarketInfo": {
        "segmentStatus": (1, "{}MarketStatus"), "casMarketStatus": (2, "{}StatusInfo"),
        "preOpenSessionStatus": (3, "{}StatusInfo"),
    },
    "FeedResponse": {
        "type": (1, "Type"), "feeds": (2, "{}Feed"), "currentTs": (3, "int64"), "marketInfo": (4, "MarketInfo"),
    },
}  # fmt: skip

_Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {"double": _Field.TYPE_DOUBLE, "int64": _Field.TYPE_INT64, "string": _Field.TYPE_STRING}


def _field(message: Any, name: str, number: int, kind: str, *, repeated: bool = False) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in ENUMS else _Field.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"
    return field


def _build() -> type[Any]:
    file = descriptor_pb2.FileDescriptorProto(name="feed.proto", package=PACKAGE, syntax="proto3")
    for name, words in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, word in enumerate(words):
            # The words of an enumeration share a scope with all others: "ltpc" would be there twice.
            enum.value.add(name=f"{name}_{word}", number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            if kind.startswith("{}"):
                entry_name = f"{field[0].upper()}{field[1:]}Entry"
                entry = message.nested_type.add(name=entry_name)
                entry.options.map_entry = True
                _field(entry, "key", 1, "string")
                _field(entry, "value", 2, kind[2:])
                _field(message, field, number, f".{PACKAGE}.{name}.{entry_name}", repeated=True)
            elif kind.startswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="shape")
                _field(message, field, number, kind[1:]).oneof_index = 0
            else:
                _field(message, field, number, kind.lstrip("*"), repeated=kind.startswith("*"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.FeedResponse"))
    return made


FeedResponse = _build()
"""The class of a whole message; the others are reached through its fields."""
