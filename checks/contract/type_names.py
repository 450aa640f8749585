"""Names of types as people write them in expectations: of SQL, SQLAlchemy, Python, numpy, pandas.

A column's type follows from its logical type, so a name is turned into the SQL name that Great
Expectations compares. Names of types that no column has are kept: the expectation then fails.
"""

from checks.contract.grammar import text
from checks.contract.node import Node, nearest

# names by the type that a column of the contract may have
_NAMES = {
    "BIGINT": "BIGINT BigInteger Integer INTEGER int int_ int64 Int64 Int64Dtype integer long",
    "DOUBLE": "DOUBLE DOUBLE_PRECISION Double FLOAT Float Numeric float float_ float64 Float64 "
    "Float64Dtype number",
    "VARCHAR": "VARCHAR TEXT String Text Unicode str str_ string object object_ O StringDtype",
    "BOOLEAN": "BOOLEAN Boolean bool bool_ boolean BooleanDtype",
    "DATE": "DATE Date date",
    "TIMESTAMP": "TIMESTAMP DATETIME DateTime datetime datetime64 datetime64[ns] datetime64[us] "
    "datetime64[ms] datetime64[s] Timestamp timestamp",
    "TIME": "TIME Time time",
}
# names of types that no column has, by the name that Great Expectations knows
_OTHER = {
    "SMALLINT": "SMALLINT SmallInteger int8 int16 int32 Int8 Int16 Int32 uint8 uint16 uint32 "
    "uint64 UInt8 UInt16 UInt32 UInt64",
    "REAL": "REAL float16 float32 Float32",
    "DECIMAL": "DECIMAL NUMERIC Decimal complex complex64 complex128",
    "Interval": "Interval timedelta timedelta64 timedelta64[ns] Timedelta",
    "BLOB": "BLOB BINARY LargeBinary VARBINARY bytes",
    "JSON": "JSON dict list",
    "UUID": "UUID Uuid",
    "Enum": "Enum category CategoricalDtype",
}
SQL_NAMES = {name: sql for sql, names in (_NAMES | _OTHER).items() for name in names.split()}


def _type(node: Node, name: str) -> str:
    word = node.string(name)
    if word not in SQL_NAMES:
        raise node.fail("C005", f"{name}: unknown type '{word}'", fix=nearest(word, SQL_NAMES))
    return SQL_NAMES[word]


TYPE = text(_type)
