-- What leaves the house ('outside') has a lane of its own: a slow endpoint delays nobody inside.
ALTER TABLE sns_delivery ADD COLUMN lane TEXT NOT NULL DEFAULT '';
DROP INDEX sns_delivery_due;
CREATE INDEX sns_delivery_due ON sns_delivery (lane, due, id);
