"""What a column's name announces: names of persons, places, or personal numbers.

A column of bare names looks like any other category, so without a language model its heading is
the only sign. Whole words are compared, without accents, in the languages of Europe and a few more;
a bare `name` counts, `product_name` does not.
"""

from typing import Literal

from checks.kit.column_words import word_set, words_of

Kind = Literal["names of persons", "places or addresses", "dates of birth"]


_NAMES = word_set(
    "surname surnames forename forenames firstname lastname fullname givenname middlename "
    "familyname maidenname nickname patronymic nachname vorname familienname geburtsname prenom "
    "prenoms nom noms apellido apellidos nombres cognome cognomi sobrenome apelido achternaam "
    "voornaam fornavn etternavn efternavn mellomnavn fornamn efternamn etunimi sukunimi imie "
    "imiona nazwisko jmeno prijmeni priezvisko meno ime prezime keresztnev vezeteknev csaladnev "
    "username usernames "
    "nume prenume imya familiya otchestvo isim soyad soyadi имя фамилия отчество прізвище όνομα "
    "ονομα επωνυμο 姓名 名前 氏名 이름"
)
# a person's name if alone or next to a word for a person
_NAME = word_set("name names nombre nome naam navn namn nimi nev")
_PERSONS = word_set(
    "first last full given family middle maiden legal birth preferred person user customer client "
    "patient employee student member applicant contact holder cardholder owner guest passenger "
    "driver borrower lender author buyer seller tenant doctor nurse teacher parent mother father "
    "child spouse kunde kunden mitarbeiter patienten cliente clienti kunden klant kunde du de del "
    "manager agent assignee reviewer approver operator supervisor clerk officer caller salesperson "
    "insured beneficiary subscriber resident citizen voter player recipient sender"
)
_PLACES = word_set(
    "address addresses street city town village hamlet postcode postalcode zip zipcode residence "
    "birthplace adresse anschrift strasse wohnort ort stadt plz gemeinde geburtsort rue ville "
    "commune codepostal direccion calle ciudad domicilio municipio indirizzo citta comune "
    "endereco rua cidade morada adres straat stad woonplaats gate gade vej by poststed adress "
    "gata stad osoite katu kaupunki ulica miasto miejscowosc mesto obec grad utca varos strada "
    "oras sokak sehir адрес улица город 住所 地址 주소"
)
# places that many persons share
_TOWNS = word_set(
    "city town village hamlet stadt ort gemeinde ville commune ciudad municipio citta comune "
    "cidade stad poststed kaupunki miasto miejscowosc mesto obec varos oras sehir город"
)
_OTHER_ADDRESSES = word_set(
    "email mail ip ipv mac web url uri http host server wallet memory device"
)
_BIRTHS = word_set(
    "dob birthdate birthday dateofbirth geburtsdatum geburtstag datenaissance naissance "
    "nacimiento nascita nascimento geboortedatum fodselsdato fodselsdag fodelsedatum "
    "syntymaaika dataurodzenia urodzenia narozeni rojstva rojen"
)
_BIRTH = word_set("birth born")
# personal numbers that a numeric column may hold; numbers in other columns are amounts and ids
_NUMBERS = word_set(
    "phone phones telephone tel mobile cell cellphone fax whatsapp landline telefon telefono "
    "telefone handy mobil msisdn ssn itin nhs passport card cards creditcard cardnumber pan"
)
CARDS = word_set("card cards creditcard cardnumber pan")


def kind_of(name: str) -> Kind | None:
    """Return what a text column's name announces, or None."""
    words = words_of(name)
    if words & _BIRTHS or (words & _BIRTH and words & {"date", "day", "year", "on"}):
        return "dates of birth"
    if words & _NAMES or (words & _NAME and not words - _NAME - _PERSONS):
        return "names of persons"
    if words & _PLACES and not words & _OTHER_ADDRESSES:
        return "places or addresses"
    return None


def is_of_persons(name: str) -> bool:
    """Return whether a column's name says that each value may identify one person."""
    return kind_of(name) is not None and not words_of(name) & _TOWNS


def has_numbers(name: str) -> bool:
    """Return whether a numeric column's name announces telephone or card numbers."""
    return bool(words_of(name) & _NUMBERS)
