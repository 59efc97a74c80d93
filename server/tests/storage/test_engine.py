"""The catalog's database."""

import sqlalchemy as sa

from tsir.settings import Settings
from tsir.storage.sql.engine import Database


def test_numbers_come_in_the_order_of_their_query(settings: Settings) -> None:
    database = Database(settings)
    table = sa.Table("numbers", sa.MetaData(), sa.Column("number", sa.BigInteger))
    query = sa.select(table.c.number)
    with database.engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"number": number} for number in (3, 2**62, 1)])
        for asked, expected in (
            (query.order_by(table.c.number), [1, 3, 2**62]),
            (query.order_by(table.c.number.desc()), [2**62, 3, 1]),
            (query.order_by(table.c.number).limit(2), [1, 3]),
            (query.where(table.c.number < 0), []),
        ):
            assert database.dialect.numbers(connection, asked) == expected
    database.close()
