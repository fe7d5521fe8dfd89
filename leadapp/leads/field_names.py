"""The words by which forms name their fields: one table a role, many languages, and the words that say otherwise.

Words are written as people write them; `plain` makes both the table and a field's name comparable.
"""

import re
import unicodedata

LETTERS = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "đ": "d", "ı": "i", "œ": "oe", "ð": "d", "þ": "th"})


def plain(text: str) -> str:
    """Letters and digits alone, without case and accents: `E-Mail` -> email, `Prénom` -> prenom."""
    letters = unicodedata.normalize("NFKD", text.casefold().translate(LETTERS))
    return "".join(letter for letter in letters if letter.isalnum())


def _table(text: str) -> frozenset[str]:
    """Words of a table: separated by commas or ends of lines, so that one may hold a space."""
    return frozenset(plain(word) for word in re.split(r"[,\n]", text) if word.strip())


NAMES: dict[str, frozenset[str]] = {
    "email": _table("""
        el pastas, elektroninis pastas, e pasts, имейл, e naslov, eposti, e-mail cím, your email
        contact email, user email, sender email, customer email, from email, visitor email, your mail
        email addr, email, e-mail, mail, email address, mail address, email id, e mail adresse, from
        reply to, work email, emails, mail adresse, adresse email, emailadres, e-mailadres, mailadresse
        epost, e-post, epostadresse, epostadress, correo, correo electronico, email correo, correo e
        courriel, adresse courriel, adresse mail, mel, adresse e-mail, indirizzo email, posta
        posta elettronica, e-mail adresa, adres email, poczta, correio, correio eletronico
        endereco de email, eposta, e-posta, e-posta adresi, eposta adresi, sahkoposti, sposti
        sahkopostiosoite, email cim, e-mail cim, adresa email, adresa de email, почта, эл почта
        электронная почта, емейл, пошта, електронна пошта, емайл, pochta, אימייל, מייל, דואל, דוא"ל
        כתובת מייל, דואר אלקטרוני, כתובת אימייל, البريد الإلكتروني, البريد الالكتروني, البريد, بريد, ايميل
        الايميل, الإيميل, بريدك الإلكتروني, ایمیل, メール, メールアドレス, eメール, eメールアドレス
        電子メール, ご連絡先メールアドレス, 邮箱, 电子邮箱, 邮件, 电子邮件, 郵箱, 電子郵件, 電子郵箱, 電郵
        信箱, youxiang, 이메일, 메일, 이메일주소, 메일주소, 전자우편, mmerge0, ηλεκτρονικο ταχυδρομειο
        ηλεκτρονική διεύθυνση, อีเมล, thu dien tu, surel, имейл адрес, email пошта
        e posta adresiniz, epostaniz, emailcim, correo de contacto, mail pro, email pro
        mejl, mejladress, elpost, emailadr, mailadr, correo contacto
        adresse electronique, couriel, direccion correo, direccion de correo, mail contact, indirizzo mail
        indirizzo posta, mailadres, adres mailowy, emajl, meil, imejl, elposta, emajlova adresa
        emailova adresa, mailova adresa, elektronikus levelcim, levelezesi cim, adresa mail, adresa electronica
        mailiniz, электронный адрес, эл адрес, el pochta, mylo, електронна адреса, поща, ел поща, doar el, דואר
        电邮, 電郵地址, e메일, hop thu, emel, ईमेल, ईमेल पता, پست الکترونیک, رایانامه, ηλ ταχυδρομείο, meiliaadress
        sender mail
    """),
    "name": _table("""
        vardas, vardas ir pavarde, vards, nimi ja perekonnanimi, ism, ime in priimek, your name
        contact name, customer name, sender name, visitor name, from name, user name, name, full name
        first and last name, name and surname, complete name, person, author, nickname, vollstandiger name
        vor und nachname, vor- und zuname, ansprechpartner, ansprechperson, kontaktperson, nom, nom complet
        nom et prenom, nom prenom, prenom et nom, prenom nom, nombre, nombre completo, nombre y apellido
        nombre y apellidos, nombre apellido, nombre apellidos, nome, nome completo, nome e cognome
        nome cognome, nome e sobrenome, nominativo, naam, volledige naam, voor- en achternaam
        contactpersoon, imie i nazwisko, imie nazwisko, imienazwisko, nazwa osoby, navn, fulde navn
        fullt navn, namn, fullständigt namn, nimi, koko nimi, jmeno, jmeno a prijmeni, jmeno prijmeni
        cele jmeno, meno, meno a priezvisko, nev, teljes nev, bekuldo, nume, nume complet, nume si prenume
        nume prenume, isim, ad soyad, adsoyad, ad, adi, ad soyadi, isim soyisim, adiniz soyadiniz, adiniz
        ime, ime i prezime, име, име и фамилия, ім'я, ваше ім'я, піб, имя, имя и фамилия, фио, ф и о
        как вас зовут, как к вам обращаться, fio, imya, imja, שם, שם מלא, שמך, שמכם, الاسم, اسم
        الاسم الكامل, الإسم, اسمك, الاسم بالكامل, نام, نام و نام خانوادگی, お名前, 名前, 氏名, ご氏名
        御氏名, 御名前, ご担当者名, 担当者名, 担当者, お客様名, namae, onamae, shimei, 代表者名, 姓名, 名字
        称呼, 您的姓名, 联系人, 聯絡人, 聯繫人, 稱呼, 您的称呼, xingming, lianxiren, xm, lxr, 이름, 성함
        성명, 이름을, 담당자, 담당자명, 고객명, 신청자명, 작성자, ονομα, ονοματεπώνυμο, onoma, onomateponymo
        ชื่อ, ชื่อนามสกุล, ho ten, ho va ten, hoten, hovaten, ten, nama, nama lengkap, what is your name
        wer sind sie
        osoba kontaktowa, osoba do kontaktu, kontaktna osoba, kontaktni osoba, referente, persona de contacto
        persona contacto, pessoa de contato, personne a contacter, interlocuteur, pseudo, kontaktnavn, yhteyshenkilo
        yetkili, yetkili kisi, контактное лицо, контактна особа, איש קשר, shem, shem male, اسم العميل, الاسم الكريم
        ご芳名, お名前漢字, 氏名漢字, 문의자, 문의자명, 예약자, 예약자명, 신청인, nm, usernm
        writer, ご担当者様名, 担当者様名, ご担当者様, nombre contacto, nome contatto, nom contact, naam contactpersoon
        contact person name, ihr name, nombres y apellidos, nombres apellidos, uw naam, osoba, osoba kontakt
        kontakt osoba, kontaktni os, for og efternavn, för och efternamn, for og etternavn, kontaktnamn
        etu ja sukunimi, nimesi, neve, kapcsolattarto, numele, persoana de contact, persoana contact, ad soyadiniz
        имена, трите имена, imeprezime, imepriimek, onomatepwnymo, onomateponimo, שם ושם משפחה, שם פרטי ומשפחה
        שם הפונה, שם הלקוח, שם לקוח, 申込者名, 申込者氏名, 预约人, 預約人, tenkhachhang, ten khach hang, ten cua ban
        real name, autor, autora, auteur, autore, verfasser, imie nazwisko klienta, yazan, forfatter, szerzo
        esm, ism kamil, mingzi, irum, ireum, nama anda, chue, namesurname
        nguoi lien he, ชื่อผู้ติดต่อ, नाम, पूरा नाम, आपका नाम, ees ja perekonnanimi, jina, who are you
        what should we call you, klantnaam, klientnavn, kundenavn, kundnamn, nazwa klienta, مخاطب
    """),
    "first_name": _table("""
        name first, your first name, contact first name, first name, first, fname, given name, given
        forename, fore name, firstnames, f name, christian name, vorname, vname, rufname, prenom, prenoms
        primer nombre, nombre de pila, nombres, primeiro nome, nome proprio, voornaam, vnaam, imie, fornavn
        fornamn, tilltalsnamn, etunimi, krestni jmeno, krstne meno, keresztnev, utonev, prenume, kucuk ad
        имя отчество, שם פרטי, الاسم الأول, الاسم الاول, الإسم الأول, 名, 下の名前, お名前名, mei, 이름만
        first kana name, ชื่อจริง, nama depan, kanji first name, μικρό όνομα
        fnamn, fnavn, fornafn, vorn, vornamen, kresni jmeno, krestni, knev, isminiz, given names, 名漢字
        名前名, namae mei, eesnimi, name vor
    """),
    "last_name": _table("""
        name last, pavarde, uzvards, perekonnanimi, your last name, contact last name, last name, last
        lname, family name, surname, sur name, second name, l name, lastnames, family, nachname, zuname
        familienname, nname, nom de famille, nom famille, apellido, apellidos, primer apellido, sobrenome
        apelido, ultimo nome, cognome, achternaam, anaam, familienaam, nazwisko, efternavn, etternavn
        efternamn, sukunimi, prijmeni, priezvisko, vezeteknev, csaladnev, nume de familie, soyad, soyadi
        soyisim, soyadiniz, фамилия, прізвище, familiya, familia, prezime, priimek, שם משפחה, משפחה
        اسم العائلة, اللقب, الاسم الأخير, الاسم الاخير, الإسم الأخير, 姓, 苗字, 名字姓, お名前姓, sei
        επωνυμο, eponymo, επίθετο, นามสกุล, nama belakang, kanji last name, sname
        enamn, enavn, eftirnafn, nachn, fam name, paterno, apellido paterno, ap paterno, vnev, csaladi nev
        nume familie, soyisminiz, familija, لقب, نام خانوادگی, 名前姓, 姓漢字, namae sei, perenimi, epitheto, eponimo
        name nach, ape, ap
    """),
    "phone": _table("""
        telefonas, telefono numeris, talrunis, telefonska stevilka, telefon raqam, telefon raqami
        your phone, your tel, contact phone, phone nr, customer phone, phone, tel, telephone, phone number
        phone no, mobile, mobile number, mobile no, mobile phone, cell, cell phone, cellphone, cell number
        contact number, contact no, daytime phone, work phone, home phone, whatsapp, whatsapp number
        telephone number, tel no, telno, sms, phonenum, call me at, mobilenumber, telefon, telefonnummer
        telefon nr, telefonnr, handy, handynummer, mobil, mobilnummer, mobiltelefon, rufnummer
        ruckrufnummer, tel nr, telnr, mobilfunk, mobilfunknummer, portable, numero de telephone
        no de telephone, telephone portable, telephone mobile, tel portable, gsm, telefono, celular, movil
        telefono movil, numero de telefono, telefono celular, numero celular, telefone, telemovel
        telefone celular, numero de telefone, fone, zap, cellulare, telefono cellulare, recapito telefonico
        numero di telefono, numero telefono, telefoon, telefoonnummer, mobiel, mobiel nummer
        telefoon nummer, telefoon mobiel, nr telefonu, numer telefonu, komorka, telefon kontaktowy, tlf
        tlf nr, mobilnr, tlfnr, telefonnumre, puhelin, puhelinnumero, puh, matkapuhelin, telefonni cislo
        telefonszam, mobilszam, telefon mobil, numar de telefon, nr telefon, cep telefonu, ceptelefonu
        telefon numarasi, telefonunuz, gsm no, cep tel, телефон, номер телефона, мобильный, моб, тел
        контактный телефон, ваш телефон, номер телефону, мобільний, telefone contato, nomer telefona, טלפון
        נייד, טלפון נייד, מספר טלפון, פלאפון, סלולרי, رقم الجوال, الجوال, جوال, رقم الهاتف, الهاتف, هاتف
        الموبايل, رقم الموبايل, رقم الجوال للتواصل, الهاتف المحمول, تلفون, تليفون, رقم التليفون
        رقم الواتساب, واتساب, شماره تماس, 電話, 電話番号, お電話番号, お電話, 携帯, 携帯電話, 携帯番号
        携帯電話番号, ご連絡先電話番号, 連絡先電話番号, denwa, 电话, 手机, 手机号, 手机号码, 联系电话
        电话号码, 您的电话, 電話號碼, 手機, 手機號碼, 聯絡電話, 聯繫電話, 行動電話, dianhua, shouji
        shoujihao, lxdh, dh, sjh, 전화, 전화번호, 연락처, 휴대폰, 휴대폰번호, 핸드폰, 휴대전화, 핸드폰번호
        τηλεφωνο, κινητο, κινητό τηλέφωνο, tilefono, thilefono, kinito, เบอร์โทร, เบอร์โทรศัพท์, โทรศัพท์
        so dien thoai, dien thoai, sdt, dienthoai, sodienthoai, no hp, nomor hp, telepon, no telepon
        nomor telepon, no telp, nohp, nomor whatsapp, no wa, telpon, телефонен номер
        recapito, recapiti, num tel, numero portable, telefono fijo, telefone fixo, contacto telefonico
        contato telefonico, telefon do kontaktu, cep no, cep numarasi, irtibat no, контактный номер, ваш номер
        מס טלפון, מספר נייד, رقم التواصل, رقم الاتصال, 日中連絡先, 联系手机, lianxidianhua, best contact number
        fono, tfno, tlfno, kontaktnummer, tel komorkowy, nr tel, numero contacto, mobilni telefon, telefonicislo
        tele, telszam, tel cislo, komorkowy, notel, telem, wpp, wapp, nomor wa, no tlp, telp, nomer hp
        mobtel, mobiili, matkapuh, puhelinnro, puhnro, puh nro, telnummer, 06 nummer, mob no, contact num
        best phone, callback number, call back number, ph no, phn, phnum, tlfnummer, сотовый, сотовый телефон
        tell, dtdd, so dt lien he, nayad, pelephone, jawal, hatef, yeonrakcheo, hyudaepon, renrakusaki
        brtelefona, broj telefona, kontakt broj, mobitel, mob broj, תלפון, رقم الموبيل, رقم هاتفك, تلفن, موبایل
        شماره موبایل, شماره همراه, تلفن همراه, شماره تلفن, 電話番号携帯, so dt, sodt, เบอร์, เบอร์ติดต่อ, เบอร์มือถือ
        มือถือ, फोन, मोबाइल, मोबाइल नंबर, फोन नंबर, τηλ, kinhto, thl, tilefwno, thlefwno
    """),
    "message": _table("""
        zinute, zinja, sonum, xabar, vprasanje, poruka vasa, upit, your message, contact message
        customer message, your comments, message, messages, msg, comment, comments, textarea, text
        text area, enquiry, inquiry, enquiry details, question, questions, body, description, details, notes
        note, request, content, contents, feedback, remarks, remark, additional info, additional information
        how can we help, how can we help you, how may we help, what can we do for you
        tell us about your project, tell us more, project details, project description, your project
        about project, comments or questions, questions comments, comments questions, challenge
        message body, message text, message content, requirement, requirements, multi line, multiline
        introduce, other, anything else, inquiry content, inquiry text, free text, freetext, issue, problem
        story, suggestion, suggestions, more info, additional comments, additional notes, special requests
        concerns, brief, long text, nachricht, mitteilung, kommentar, kommentare, bemerkung, bemerkungen
        anmerkung, anmerkungen, anfrage, anliegen, frage, fragen, freitext, ihr anliegen, deine frage
        beschreibung, projektbeschreibung, ihre anfrage, notiz, wie konnen wir helfen
        wie konnen wir ihnen helfen, wunsche, ihr text, angaben, hinweise, sonstiges, votre message, contenu
        commentaire, commentaires, demande, votre demande, precisions, remarque, remarques, texte
        votre projet, projet, besoin, besoins, votre besoin, corps, mensaje, comentario, comentarios
        consulta, pregunta, texto, detalle, detalles, descripcion, solicitud, observaciones, observacion
        especificaciones, especificacion
        cuerpo, contenido, motivo consulta, mensagem, duvida, duvidas, pergunta, descricao, observacoes
        observacao, obs, conteudo, assunto mensagem, messaggio, richiesta, commento, commenti, domanda
        testo, note aggiuntive, descrizione, informazioni, dettagli, bericht, opmerking, opmerkingen, vraag
        uw bericht, toelichting, omschrijving, motivatie, boodschap, inhoud, reactie, wiadomosc, tresc
        tresc wiadomosci, zapytanie, pytanie, uwagi, komentarz, opis, opis projektu, krotki opis, besked
        din besked, kommentarer, bemaerkninger, bemaerkning, sporgsmal, henvendelse, beskrivelse, tekst
        melding, din melding, meddelande, meddelanden, fraga, ovrigt, beskrivning, viesti, viestisi
        lisatiedot, kysymys, kommentti, zprava, vase zprava, dotaz, poznamka, text zpravy, sprava, vzkaz
        popis, uzenet, megjegyzes, kerdes, leiras, szoveg, mesaj, mesajul, mesajul tau, comentariu
        comentarii, detalii, intrebare, descriere, mesajiniz, aciklama, not, notlar, notunuz, icerik, soru
        sorunuz, talep, poruka, sporocilo, съобщение, сообщение, комментарий, вопрос, текст, информация
        текст сообщения, ваше сообщение, ваш вопрос, примечание, пожелания, описание, отзыв, повідомлення
        коментар, питання, soobshenie, soobshchenie, vopros, kommentariy, הודעה, תוכן, תוכן ההודעה, הודעתך
        טקסט חופשי, פרטים, הערות, פנייה, תוכן הפנייה, ההודעה, الرسالة, رسالة, رسالتك, نص الرسالة
        الرسالة الخاصة بك, ملاحظات, الملاحظات, تعليق, التعليق, الاستفسار, استفسار, استفسارك, التفاصيل
        محتوى الرسالة, محتوى, پیام, お問い合わせ, お問い合わせ内容, 問い合わせ, 問い合わせ内容, お問合せ内容
        お問合せ, 内容, ご質問, メッセージ, 本文, 備考, 質問, ご相談内容, 相談内容, ご要望, 要望, 詳細
        ご意見, コメント, 自由記述, ご質問内容, ご依頼内容, naiyou, naiyo, toiawase, honbun, 留言, 留言内容
        信息, 需求, 备注, 咨询内容, 您的留言, 消息, 描述, 项目需求, 意見, 留言內容, 內容, 訊息, 備註
        需求描述, liuyan, neirong, beizhu, xuqiu, 문의, 문의내용, 문의사항, 내용, 메시지, 남기실 말씀
        상담내용, 요청사항, 메모, 하고싶은말, μηνυμα, το μηνυμα σας, minima, mynima, σχολια, ερωτηση
        ข้อความ, รายละเอียด, noi dung, noidung, loi nhan, tin nhan, ghi chu, yeu cau, pesan, keterangan
        isi pesan, komentar, catatan, deskripsi
        forespørgsel, forespoergsel, din forespørgsel, din forespoergsel, descriptif, precisez votre demande
        cuentanos, tu consulta, como podemos ajudar, como podemos ayudarte, come possiamo aiutarti
        w czym mozemy pomoc, hvad kan vi hjælpe med, hur kan vi hjälpa, чем можем помочь, опишите задачу, задача
        תוכן הפניה, במה אפשר לעזור, hodaa, كيف يمكننا مساعدتك, طلبك, تفاصيل الطلب, ご用件, ご要件, ご希望, otoiawase
        询问内容, 詢問內容, 諮詢內容, 反馈内容, liuyanneirong
        상담문의, 남기실 메시지, talebiniz, special wishes, wishes
        msj, su mensaje, peticion, requerimiento, requerimientos, informacion adicional, informacoes adicionais
        informazioni aggiuntive, informations complementaires, infos complementaires, richieste, richieste particolari
        esigenze, zusatzinfo, zusatzinfos, zusatzliche informationen, weitere infos, extra informatie
        aanvullende informatie, verzoek, aanvraag, wensen, dodatkowe informacje, prosba, opis zlecenia
        yderligere oplysninger, onskemal, дополнительная информация, ek bilgi, その他ご要望
        补充说明, 其他说明, 추가문의
        describe, contenue, anmerkungstext, objet demande, cometarios, necesidad, necesidades, describe tu proyecto
        descreva, oggetto richiesta, quesito, dopyt, poziadavka, uzenet szoveg, megj, uzenetem, ovrig info, förfrågan
        beskjed, lisatieto, lisatietoja, palaute, continut, observatii, gorusunuz, пожелание, обращение
        soobshcheniye, soobschenie, soobsheniye, komment, opisanie, opisaniye, povidomlennya, запитання, опис
        запитване, въпрос, коментари, porukica, pitanje, sadrzaj, порука, питање, תיאור, הערה, מלל חופשי
        נושא הפנייה, الرساله, نص الرساله, تفاصيل, ملاحظة, ملاحظاتك, شكوى, پیغام, متن پیام, توضیحات, ご相談, ご意見ご感想
        メッセージ本文, 通信欄, 連絡事項, 備考欄, 反馈, 反馈意见, 问题描述, 意見內容, 備註說明, 您的問題
        상담신청내용, 기타사항, 질문, คำถาม, pertanyaan, isi, संदेश
        yorum, yorumunuz, gorus, gorusler, sikayet, oneri, komen, ulasan, saran, masukan, mensaje cliente, binh luan
        gop y, payam, hearot, tochen, risala, sangdam, munui, naeyong, wiad, leirong
        minyma, sxolia, zinutes tekstas, komentaras, zinojums, teade, kusimus
    """),
}

# Around the word that counts: `your-email`, `con_name`, `jform_phone`, `email*`.
NOISE = _table("""
        optional, pflichtfeld, erforderlich, obligatoire, facultatif, opcional, falls, freiwillig, verplicht,
        必須, 任意, 필수, 선택, 必填, 選填,
        il, lo, la, le, les, el, los, las, der, die, das, den, your, my, the, a, of, contact, customer
        client, user, visitor, sender, lead, form, forms, field, fields, input, txt, text, box, con, cf, frm
        wr, web, guest, applicant, buyer, owner name, billing, primary, main, required, mce, kanji, personal
        person, referrer, referer, submitter, requester, business, work, id, value, edit, data, entry, lbl
        fld, inputs, valid, enter, please, new, de, di, do, da, da sua, do cliente, cliente, kunde, kunden
        kontakt, mein, ihr, ihre, ihren, dein, deine, bitte, eingeben, votre, vos, mon, tu, su, sus, seu
        sua, suo, tuo, vostro, vostra, uw, je, jouw, mijn, twoj, twoja, twoje, panstwa, din, dit, ditt, min
        sinun, vas, vase, az on, tau, dumneavoastra, sizin, ваш, ваша, ваше, ваши, укажите, введите, שלך, ご
        お, 您的, 你的, 請輸入, الخاص, بك, للتواصل, σας, cua ban, anda, inquiry, enquiry, popup, modal
        footer, home, page, cta, index, sidebar, header, obrigatorio
    """)
# The same in scripts that write no spaces, and what programmers write before the name of a box (`txtvoornaam`).
POLITE = ("txt", "fld", "您的", "你的", "请输入", "請輸入", "请填写", "請填寫", "ご", "お", "御")
# These have a meaning of their own: nothing is guessed from a value beside them, and they spoil a role's word.
OTHER = _table("""
        order, booking, quote, invoice, member, membership, card, dog, cat, horse, hund, tier, pferd, katze
        chien, chat, perro, gato, cane, animal, bank, doctor, arzt, server, host, app, course, kurs, class
        book, store, shop, boat, church, agency, customer number, customer id, kundennummer
        number of people, serial, license, licence, ordernr, company, companyname, firm, firma
        business name, organization, organisation, organizer, institution, unternehmen, betrieb, entreprise
        societe, empresa, azienda, bedrijf, bedrijfsnaam, przedsiebiorstwo, virksomhed, foretag, yritys
        sirket, компания, компании, организация, חברה, החברה, شركة, الشركة, 会社, 会社名, 御社名, 貴社名
        公司, 公司名称, 회사, 회사명, partner, brand, project name, project, product, products, item
        service, services, domain, site, website, url, homepage, link, listname, list, file, filename, page
        title, subject, betreff, sujet, asunto, assunto, oggetto, objet, onderwerp, temat, emne, amne
        aihe, predmet, targy, subiect, konu, тема, נושא, الموضوع, 件名, 主题, 標題, 제목, titel, topic, category
        type, kind, typ, tipo, school, hotel, restaurant, event, team, group, department, position, job
        role, plan, pet, child, kid, model, vehicle, car, color, size, street, strasse, straße, address
        address1, address2, adresse, adres, direccion, endereco, indirizzo, adresa, rue, road, city, town
        ort, stadt, ville, ciudad, cidade, citta, stad, miasto, zip, zipcode, postcode, postal, plz, cap
        codigo, code, pincode, state, region, province, country, land, pais, paese, pays, county, suburb
        date, datum, fecha, data nascita, birthdate, birthday, dob, time, month, year, day, hour, age
        budget, amount, price, quantity, qty, number of guests, guests, people, persons, adults, children
        password, passwort, pass, pwd, username, login, token, nonce, hash, captcha, verify, verification
        security, consent, privacy, terms, agree, agb, dsgvo, gdpr, datenschutz, einwilligung, policy, optin
        opt, subscribe, newsletter, marketing, copy, kopie, send, submit, button, btn, action, method, best
        preferred, preference, source, campaign, medium, referral, referred, hear, language, lang, locale
        timezone, currency, kana, furigana, フリガナ, ふりがな, カナ, セミナー, katakana, hiragana
        kanalastname, fax, telefax, linkedin, facebook, twitter, instagram, telegram, skype, extension, tax
        vat, iban, account, salutation, anrede, civilite, prefix, suffix, gender, sex, geschlecht
        nationality, occupation, education, options, choice, street name, place, location, venue, room
        society, association, club, university, college, hospital, clinic, foundation, charity, branch, campus, district
        village, disease, medicine, verein, schule, escuela, colegio, escola, universidad, universidade, ecole, scuola
        image, photo, attachment, document, utm, ip, agent, browser, version, formid, formname, status
        priority, reference, key, secret, cost, rating, score, occasion, industry, branche, sector, sektor
        method of contact, kontaktart, erreichbarkeit, product name, listing, property, website name
        hausnummer, house number
    """)
# Among these: what a message is about. Where a form has no box for the message, it may stand here.
TOPICS = _table("""
        subject, topic, title, betreff, thema, sujet, objet, asunto, assunto, oggetto, onderwerp, temat, emne, amne
        aihe, predmet, targy, subiect, konu, тема, נושא, الموضوع, 件名, 主题, 標題, 제목, project, projekt, projet
        proyecto, progetto, projeto, проект
    """)
# A weak word only counts where the value agrees.
WEAK = {
    "phone": _table("""
        number, numero, nummer, numer, номер, contact, contacto, contato, contatto, kontakt, hp, no, num
        연락, 联系方式, 聯絡方式, lianxifangshi, 連絡先, liên hệ, lienhe, phone email, telefono email, cf phone, mob
        kontak, cep, cel, tlm, ph, whats, nomer, الرقم, رقمك, yhteystieto, yhteystiedot
    """),
    "email": _table("""
        contact, contacto, contato, contatto, kontakt, address, contact info, phone email, email phone
        login, username, 연락처, 联系方式, 連絡先, kontak, absender, mittente, remitente, remetente, expediteur
        nadawca, avsender, afsender, отправитель, yhteystieto, yhteystiedot
    """),
    "name": _table("""
        contact, client, customer, author, user, username, sender, guest, fullusername, kontakt, cliente
        kunde, from, company contact, contact person, primary contact, point of contact, poc, absender, mittente
        remitente, remetente, expediteur, nadawca, avsender, afsender, отправитель, gebruikersnaam, 用户名, asiakas
    """),
    "message": _table("""
        info, infos, wunsch, pedido, goal, goals, needs, reason, motivo, motif, grund, precision, besvar, powod, цель
    """),
}
# Glued to the word that counts: `nameowner`, `clientephone`.
PEOPLE = _table("""
        owner, user, client, customer, contact, visitor, sender, guest, applicant, buyer, member, patient, student
        parent, person, lead, cliente, kunde, kunden, klient, kontakt, contacto, contato, contatto, usuario, utente
        paciente, paziente, pasien, funcionario, alumno, aluno, etudiant, klant, asiakas, musteri, pelanggan
    """)
# One of several people of the same kind, asked about as `partner_1_name`: the first is who writes.
NUMBERED_PEOPLE = _table("partner, member, person, persons, people, guests")
# Who pays and where it goes: the same person as a rule, but anyone named otherwise comes first.
LATER = _table("billing, shipping, delivery, invoice, rechnung, facturation, facturacion, fatturazione, faktura")
# What a button is called: its value says what a click does, not what the visitor wrote.
BUTTONS = _table("""
        send, submit, senden, absenden, abschicken, envoyer, enviar, invia, inviare, envia, wyslij, verzenden, versturen
        verstuur, gonder, odeslat, odoslat, kuldes, elkuldes, trimite, skicka, laheta, indsend, posalji, poslji, kirim
        отправить, відправити, надіслати, изпрати, שלח, שליחה, ارسال, إرسال, 送信, 送信する, 提交, 送出, 보내기, 전송
        gui, ส่ง, αποστολη
    """)
# Beside these a name is a person's after all: whoever books, orders, asks for a quote.
PERSONAL = _table("booking, quote, reservation, appointment, order, member, membership, invoice")
# Who keeps an animal is the visitor, not the owner of the site.
ANIMALS = _table("pet, dog, cat, horse, puppy, animal, hund, katze, pferd, tier, chien, chat, perro, gato, cane, hond")
# Somebody else's: the owner's own address must never become the visitor's, a friend's only if there is no other.
OWNERS = _table("""
        admin, recipient, recipients, to, owner, sendto, mailto, emailto, tomail, toemail, cc, bcc, ccemail
        receiver, support, empfaenger, empfänger, destinatario, destinataire, komu, cimzett, alici, notify
        notification, noreply, debug, debugemail, adminemail, siteemail, agent, получатель, нимани
        sales, webmaster, site, hidden, merchant, seller
    """)
OTHERS = _table("""
        friend, friends, freund, freundes, ami, amigo, referee, partner, spouse, emergency, second
        secondary, other, alternative, alternate, child, barn, barnets, kind, kindes, 2
        second guest, colleague, manager, boss, teacher, father, fathers, mother, mothers, husband, wife, kin, nominee
        relative, sibling, brother, sister, vater, mutter, padre, madre, pere, mere, pai, mae, отец, мать
    """)
CONFIRMS = _table("""
        confirm, confirmation, confirmed, repeat, again, retype, check, verify, wiederholen, wiederholung
        bestatigen, bestaetigung, bestatigung, confirmar, confirmacion, confirmacao, conferma, confermare
        confirmer, repita, repetir, bevestig, herhaal, potwierdz, powtorz, bekraeft, bekrafta, gentag
        tekrar, подтверждение, повтор, 確認, 确认, 확인, 2
    """)
# The first of several fields that could all be the message.
LEADING = _table("""
        message, nachricht, mensaje, mensagem, messaggio, bericht, wiadomosc, besked, meddelande, melding
        viesti, zprava, uzenet, mesaj, сообщение, повідомлення, הודעה, الرسالة, お問い合わせ内容, 留言
        문의내용, μηνυμα
    """)
# With a number behind them they only say what kind of box it is.
NUMBERED = _table("text, question, content, contents, other, note")
# Long enough to mean the role inside a word that nobody listed (`webuseremail`, `Kontakttelefon`).
STEMS: dict[str, tuple[str, ...]] = {
    role: tuple(plain(word) for word in words.split())
    for role, words in {
        "email": """
            email epost eposta correo courriel メール 邮箱 邮件 郵件 电邮 電郵 이메일 почт البريد อีเมล אימייל ईमेल
            ایمیل
        """,
        "phone": """
            phone telefon telephon telefo mobil whatsapp handy numbertoreach телефон 電話 电话 手机 手機 전화 휴대
            الهاتف الجوال טלפון τηλεφων โทร เบอร์ มือถือ موبایل फोन मोबाइल handphone telepon
        """,
        "message": """
            message nachricht mensaje mensagem messagg wiadomosc besked meddeland comment kommentar inquiry enquiry
            question anfrage anliegen beschreibung description сообщен
            コメント 問い合わせ 問合せ ご意見 備考 留言 反馈 詢問 询问 咨询 諮詢 需求 문의 الرسالة رسالت הודע μηνυμ
            ข้อความ
            संदेश پیام canwehelp canihelp tellus aboutyou
        """,
        "name": "fullname nachname vorname 名前 氏名 姓名 이름 성함 الاسم username",
    }.items()
}
# Names that say nothing: form builders number them.
GENERIC = _table("""
        field, fields, input, text, textfield, singleline, single, line, q, nf, entry, item, meta, wpforms
        form, forms, answer, question, f, ff, textarea, email, tel, name, data, custom, value, values
        control, element, box, id, ninja, cf, fld, kb, yui, editable
        la, mm, mmerge, merge, numeric, component, short, multiline, multi, area, long
        texto, resposta, respuesta, curta, corta, texte, court, testo
    """)
