INSERT INTO shop.customers VALUES
  ('0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', 'DE'),
  ('5b1e9c70-8a44-4f0e-b1c2-7e3d4f5a6b02', 'FR'),
  ('c2d3e4f5-0617-4829-9abc-def012345603', 'DE');

INSERT INTO shop.orders VALUES
  (1, '0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', 'paid',     '19.90', '{"lines": [{"sku": "tea", "n": 2}], "gift": true}', '2026-02-27 10:00:00'),
  (2, '0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', 'paid',    '120.10', '{"lines": [{"sku": "pot", "n": 1}, {"sku": "cup", "n": 4}]}', '2026-03-28 09:00:00'),
  (3, '0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', 'refunded', '35.00', '{"lines": [{"sku": "cup", "n": 1}]}', '2026-03-29 12:30:00'),
  (4, '0f8f2a4e-3c1d-4b7a-9a55-6d2c1e0b7a01', 'placed',   '42.00', '{"lines": [{"sku": "tea", "n": 5}]}', '2026-03-29 13:30:00'),
  (5, '5b1e9c70-8a44-4f0e-b1c2-7e3d4f5a6b02', 'paid',      '9.99', '{"lines": []}', '2026-03-29 01:59:59');
