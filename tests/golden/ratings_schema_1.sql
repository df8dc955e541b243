PRAGMA application_id = 1163283282;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE answers (
  presentation INTEGER PRIMARY KEY REFERENCES presentations ON DELETE CASCADE,
  given TEXT NOT NULL CHECK (json_valid(given)),  -- {"overall": 4, …}, or "first", "second", "none"
  answered_at REAL NOT NULL,
  took_s REAL
) STRICT;
INSERT INTO "answers" VALUES(1,'{"motion":4,"overall":2}',1800000003.5,1.5);
INSERT INTO "answers" VALUES(2,'{"motion":4,"overall":3}',1800000007.0,1.5);
INSERT INTO "answers" VALUES(3,'{"motion":4,"overall":4}',1800000010.5,1.5);
INSERT INTO "answers" VALUES(4,'{"motion":4,"overall":5}',1800000014.0,1.5);
INSERT INTO "answers" VALUES(5,'{"motion":4,"overall":1}',1800000017.5,1.5);
INSERT INTO "answers" VALUES(6,'{"motion":4,"overall":2}',1800000021.0,1.5);
INSERT INTO "answers" VALUES(7,'"none"',1800000026.5,1.5);
INSERT INTO "answers" VALUES(8,'"second"',1800000032.0,1.5);
INSERT INTO "answers" VALUES(9,'"first"',1800000037.5,1.5);
INSERT INTO "answers" VALUES(10,'"none"',1800000043.0,1.5);
INSERT INTO "answers" VALUES(11,'{"lip_sync": 3.25}',1800000043.0,NULL);
CREATE TABLE clips (
  content TEXT NOT NULL,     -- SHA-256 of the video that it is a blind copy of
  is_broken INTEGER NOT NULL CHECK (is_broken IN (0, 1)),
  file TEXT NOT NULL UNIQUE,
  duration_s REAL NOT NULL,
  fps REAL NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  has_sound INTEGER NOT NULL CHECK (has_sound IN (0, 1)),
  PRIMARY KEY (content, is_broken)
) STRICT, WITHOUT ROWID;
INSERT INTO "clips" VALUES('3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69',0,'000000000000000000000004.mp4',2.0,25.0,384,256,1);
INSERT INTO "clips" VALUES('8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68',0,'000000000000000000000001.mp4',2.0,25.0,384,256,1);
INSERT INTO "clips" VALUES('8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68',1,'000000000000000000000005.mp4',2.0,25.0,384,256,1);
INSERT INTO "clips" VALUES('8201c6133e5ee60e9e4f26c4cc1369b78f8e20d3cc5c1a9955692cafba50ec7f',0,'000000000000000000000002.mp4',2.0,25.0,384,256,1);
INSERT INTO "clips" VALUES('9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a',0,'000000000000000000000003.mp4',2.0,25.0,384,256,1);
INSERT INTO "clips" VALUES('9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a',1,'000000000000000000000006.mp4',2.0,25.0,384,256,1);
CREATE TABLE identity (
  run TEXT NOT NULL,      -- random: tells this file from that of another run
  secret TEXT NOT NULL    -- random: signs the tickets of pages that are answered elsewhere
) STRICT;
INSERT INTO "identity" VALUES('e0434d3fc7a924a7','9bdac838fc30d663c03812910d70e933012c17b858a6d79bcb360c4852102ab9');
CREATE TABLE items (
  study INTEGER NOT NULL REFERENCES studies,
  code TEXT NOT NULL,
  first_trial TEXT NOT NULL,
  first_content TEXT,
  second_trial TEXT,         -- of a pair
  second_content TEXT,
  is_check INTEGER NOT NULL CHECK (is_check IN (0, 1)),  -- its last clip is shown broken
  PRIMARY KEY (study, code)
) STRICT, WITHOUT ROWID;
INSERT INTO "items" VALUES(1,'i1','e54feba1d0e5f102','8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68',NULL,NULL,0);
INSERT INTO "items" VALUES(1,'i2','db21072cd7404eb0','8201c6133e5ee60e9e4f26c4cc1369b78f8e20d3cc5c1a9955692cafba50ec7f',NULL,NULL,0);
INSERT INTO "items" VALUES(1,'i3','664c3c6e2bcb68d5','9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a',NULL,NULL,0);
INSERT INTO "items" VALUES(1,'i4','b2fb9bedf3ef9109','3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69',NULL,NULL,0);
INSERT INTO "items" VALUES(1,'i5','e54feba1d0e5f102','8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68',NULL,NULL,1);
INSERT INTO "items" VALUES(2,'i1','e54feba1d0e5f102','8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68','664c3c6e2bcb68d5','9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a',0);
INSERT INTO "items" VALUES(2,'i2','db21072cd7404eb0','8201c6133e5ee60e9e4f26c4cc1369b78f8e20d3cc5c1a9955692cafba50ec7f','b2fb9bedf3ef9109','3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69',0);
INSERT INTO "items" VALUES(2,'i3','e54feba1d0e5f102','8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68','664c3c6e2bcb68d5','9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a',1);
INSERT INTO "items" VALUES(3,'i1','e54feba1d0e5f102','8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68',NULL,NULL,0);
CREATE TABLE presentations (
  number INTEGER PRIMARY KEY,
  rater INTEGER NOT NULL REFERENCES raters ON DELETE CASCADE,
  position INTEGER NOT NULL,
  study INTEGER NOT NULL,
  item TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('training', 'rating', 'repeat', 'check')),
  is_swapped INTEGER NOT NULL CHECK (is_swapped IN (0, 1)),  -- the pair's second clip was shown first
  nonce TEXT UNIQUE,         -- null of imported answers, as are the codes
  first_code TEXT UNIQUE,    -- of the clip that is shown first
  second_code TEXT UNIQUE,
  shown_at REAL,
  first_played_at REAL,
  second_played_at REAL,
  UNIQUE (rater, position),
  FOREIGN KEY (study, item) REFERENCES items (study, code)
) STRICT;
INSERT INTO "presentations" VALUES(1,1,0,1,'i1','training',0,'OzyGUCgrodrQIh8q','KVAJRlfuNDYROOp0',NULL,1800000000.0,1800000000.0,NULL);
INSERT INTO "presentations" VALUES(2,1,1,1,'i3','rating',0,'zsqIAtpwQ-8YoDgO','BnmAk1BDyWjz8AKC',NULL,1800000003.5,1800000003.5,NULL);
INSERT INTO "presentations" VALUES(3,1,2,1,'i2','rating',0,'mQGsxTIuBsMBIg2I','nQjte2s-a5WdOB2n',NULL,1800000007.0,1800000007.0,NULL);
INSERT INTO "presentations" VALUES(4,1,3,1,'i1','rating',0,'hITatYcUnfQIcD4S','pus6D4TsXs940cAs',NULL,1800000010.5,1800000010.5,NULL);
INSERT INTO "presentations" VALUES(5,1,4,1,'i5','check',0,'iNPMYw3TIH18nR6z','XLjrSupxhWl6kiF6',NULL,1800000014.0,1800000014.0,NULL);
INSERT INTO "presentations" VALUES(6,1,5,1,'i4','rating',0,'t9JadmfnFeI-ruBi','rAmb7PXvu3WPbNZi',NULL,1800000017.5,1800000017.5,NULL);
INSERT INTO "presentations" VALUES(7,2,0,2,'i1','training',0,'mbQQ5YbpXnnnDIiP','ejXKysXxw_pf00bC','vOSUtNfYpnB-UDiB',1800000021.0,1800000021.0,1800000023.0);
INSERT INTO "presentations" VALUES(8,2,1,2,'i3','check',0,'AHuYxdSnuJ7MCzgi','xhYE1XRFFFOURVMJ','KnskrRl9bIF2FQFX',1800000026.5,1800000026.5,1800000028.5);
INSERT INTO "presentations" VALUES(9,2,2,2,'i2','rating',1,'bqRYpOqiVrGd_GlZ','Ij9m6B7dOXsJAFlU','WjIMo0WzpHdYKdwJ',1800000032.0,1800000032.0,1800000034.0);
INSERT INTO "presentations" VALUES(10,2,3,2,'i1','rating',0,'OYdUyI-Q0yJaNZLR','cqfqOSTdXMdqrYwH','J_IbBRb1s9QHEnCi',1800000037.5,1800000037.5,1800000039.5);
INSERT INTO "presentations" VALUES(11,4,0,3,'i1','rating',0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE raters (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, even when a rater was forgotten
  study INTEGER NOT NULL REFERENCES studies,
  origin TEXT NOT NULL CHECK (origin IN ('person', 'simulated', 'imported')),
  language TEXT NOT NULL DEFAULT '',
  token_hash TEXT UNIQUE,
  session_hash TEXT UNIQUE,
  slot INTEGER,              -- which presentations; null until the rater starts
  UNIQUE (study, slot)
) STRICT;
INSERT INTO "raters" VALUES(1,1,'simulated','zh-CN','41c651aa7f035f02f24bddc1772b9f9d3ac018a8280eb8864d9804d71cbb000c','63b556d52a567a7fff795f5fa1acf8efcc607a68d7eddbd963bbe1f2dfecf7b7',0);
INSERT INTO "raters" VALUES(2,2,'simulated','zh-CN','5d8dd16e62f9e0e0c1bed82fd818ae1f3d1e20ab81d8121857892d753ac2ed27','c97864ab1bfb0582b3546c5d05664a29efb8cc92281e4af5ad4efd13f18ab273',0);
INSERT INTO "raters" VALUES(3,1,'person','','002595fc1da2958e9882212f42304659c5807dc307833bb37fa4710bb9502fe5',NULL,NULL);
INSERT INTO "raters" VALUES(4,3,'imported','',NULL,NULL,NULL);
CREATE TABLE studies (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('acr', 'pairs')),
  questions TEXT NOT NULL CHECK (json_valid(questions)),
  created_at TEXT NOT NULL,
  key TEXT NOT NULL,         -- the sealed key, see evalkit.rating.key; empty of imported answers
  commitment TEXT NOT NULL,  -- its SHA-256
  source TEXT NOT NULL,      -- what imported answers came from, else empty
  digest TEXT,               -- SHA-256 of the imported file
  UNIQUE (digest, kind)
) STRICT;
INSERT INTO "studies" VALUES(1,'acr','["overall","motion"]','2027-01-15T08:00:00+00:00','{"design":{"clips_per_rater":4,"in_step":false,"kind":"acr","n_checks":1,"n_repeats":0,"n_training":1,"questions":["overall","motion"],"seed":0},"format":"evalkit rating key 1","items":[{"block":"a80e4c953b99dfc7","code":"i1","contents":["8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68"],"input":"a7324c14df7bda84","is_check":false,"trials":["e54feba1d0e5f102"]},{"block":"f2dc58736f99f94e","code":"i2","contents":["8201c6133e5ee60e9e4f26c4cc1369b78f8e20d3cc5c1a9955692cafba50ec7f"],"input":"71aadb26708b41ac","is_check":false,"trials":["db21072cd7404eb0"]},{"block":"a80e4c953b99dfc7","code":"i3","contents":["9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a"],"input":"a7324c14df7bda84","is_check":false,"trials":["664c3c6e2bcb68d5"]},{"block":"f2dc58736f99f94e","code":"i4","contents":["3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69"],"input":"71aadb26708b41ac","is_check":false,"trials":["b2fb9bedf3ef9109"]},{"block":"a80e4c953b99dfc7","code":"i5","contents":["8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68"],"input":"a7324c14df7bda84","is_check":true,"trials":["e54feba1d0e5f102"]}],"salt":"9d959056e4a9d859f1f5c21b27d3a4e4"}','5e1d2c238afefeaee3368474dc8c48b1ed92ab64bd68bf001f2505d16a2d3713','',NULL);
INSERT INTO "studies" VALUES(2,'pairs','["overall"]','2027-01-15T08:00:21+00:00','{"design":{"clips_per_rater":2,"in_step":false,"kind":"pairs","n_checks":1,"n_repeats":0,"n_training":1,"questions":["overall"],"seed":0},"format":"evalkit rating key 1","items":[{"block":"a80e4c953b99dfc7","code":"i1","contents":["8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68","9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a"],"input":"a7324c14df7bda84","is_check":false,"trials":["e54feba1d0e5f102","664c3c6e2bcb68d5"]},{"block":"f2dc58736f99f94e","code":"i2","contents":["8201c6133e5ee60e9e4f26c4cc1369b78f8e20d3cc5c1a9955692cafba50ec7f","3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69"],"input":"71aadb26708b41ac","is_check":false,"trials":["db21072cd7404eb0","b2fb9bedf3ef9109"]},{"block":"a80e4c953b99dfc7","code":"i3","contents":["8132479f63257a45634011ab7415f4bf929d3f2ed553264a88566ace463b9e68","9c9a0817b7e6507f554a8ac7b174c6051efa0f4b51e31a6078bab0b618fb369a"],"input":"a7324c14df7bda84","is_check":true,"trials":["e54feba1d0e5f102","664c3c6e2bcb68d5"]}],"salt":"d9bb948da9cc0059435d14935b085560"}','e68be106ca485ed96d303c159b7c40ff29782429a3c17edfd06d3ffbc9af0cd5','',NULL);
INSERT INTO "studies" VALUES(3,'acr','["lip_sync"]','2027-01-15T08:00:43+00:00','','','a CSV, scores.csv','abababababababababababababababababababababababababababababababab');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('raters',4);
COMMIT;
